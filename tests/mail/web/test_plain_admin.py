"""The outbox's pages in another project: a plain admin, under another name and another URL, and its own mailbox."""

import re
from html import unescape

import pytest
from django.core.mail import EmailMultiAlternatives
from django.urls import reverse

from accounts.models import User
from flasky.mail import cause_of
from flasky.mail.models import Action, OutboxMessage, State

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.mail.web.plain_admin")]

OFFICE = "/back/office/"
TABS = ("html", "text", "headers", "source", "attachments", "history")


@pytest.fixture(autouse=True)
def plain_project(settings):
    """The templates of Django and of the apps, and nothing of this site's own."""
    [engine] = settings.TEMPLATES
    processors = [name for name in engine["OPTIONS"]["context_processors"] if name.startswith("django.")]
    processors.append(f"{__name__}.csp_nonce")
    settings.TEMPLATES = [{**engine, "DIRS": [], "OPTIONS": {"context_processors": processors}}]


class Unasked:
    """A nonce as Django and django-csp have it: false as long as nobody has asked for it."""

    def __bool__(self):
        return False

    def __str__(self):
        return "n0nce"


def csp_nonce(request):
    return {"csp_nonce": Unasked()}


@pytest.fixture
def superuser(client):
    User.objects.bulk_create([User(username="root", email="root@example.com", is_staff=True, is_superuser=True)])
    client.force_login(User.objects.get(username="root"))
    return client


@pytest.fixture
def zoe():
    User.objects.bulk_create([User(username="zoe")])
    return User.objects.get(username="zoe")


@pytest.fixture
def messages(zoe):
    """A message in each state, about somebody."""
    for state in State:
        email = EmailMultiAlternatives("Hi", "Hello", "ann@example.com", ["bob@example.com"])
        email.attach_alternative("<p>Hello</p>", "text/html")
        email.attach("a.txt", "attached\n", "text/plain")
        email.cause = cause_of(zoe)
        email.send()
        OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=state)
    return list(OutboxMessage.objects.all())


def list_url():
    names = f"{OutboxMessage._meta.app_label}_{OutboxMessage._meta.model_name}"
    return reverse(f"admin:{names}_changelist", current_app="office")


def read(client, url, **data):
    response = client.post(url, data) if data else client.get(url)
    assert response.status_code == 200, url
    return response.content.decode()


def links_of(page, url):
    """Return where the links, forms and frames of our part of the page lead."""
    ours = page[page.index('class="breadcrumbs"') :]
    found = [unescape(link) for link in re.findall(r' (?:href|src|action)="([^"#]+)', ours)]
    return {url.partition("?")[0] + link if link.startswith("?") else link for link in found}


def pages_of(messages):
    start = list_url()
    queries = ("", "?tab=failed", "?tab=later&refresh=1", "?q=bob@example.com", "?time=24h")
    tabs = [f"{start}{query}" for query in queries]
    parts = [f"{start}{message.pk}/change/?tab={tab}" for message in messages for tab in TABS]
    return [*tabs, f"{start}charts/", *parts]


def test_every_page_is_there_and_every_link_leads_to_another_in_the_same_admin(superuser, messages):
    links = set()
    for url in pages_of(messages):
        links |= links_of(read(superuser, url), url)
    forms = {link for link in links if link.partition("?")[0] == f"{list_url()}act/"}
    assert forms
    assert [link for link in links if not link.startswith(OFFICE)] == []
    for link in links - forms:
        assert superuser.get(link).status_code == 200, link


def test_what_a_mail_is_about_is_linked_in_the_same_admin(superuser, messages, zoe):
    page = read(superuser, f"{list_url()}{messages[0].pk}/change/")
    assert f'<a href="{OFFICE}accounts/user/{zoe.pk}/change/"><bdi>zoe</bdi></a>' in page


def test_an_action_is_asked_for_and_done_in_the_same_admin(superuser, messages):
    held = OutboxMessage.objects.get(state=State.HELD)
    act = f"{list_url()}act/"
    page = read(superuser, act, action="release", message=held.pk)
    assert {OFFICE, list_url(), act} <= links_of(page, act)
    assert all(link.startswith(OFFICE) for link in links_of(page, act))
    [last] = re.findall(r'name="last_action" value="(\d+)"', page)
    answer = superuser.post(
        act, {"action": "release", "message": held.pk, "last_action": last, "confirmed": "1", "next": "//evil.example/"}
    )
    assert answer["Location"] == list_url()
    assert not OutboxMessage.objects.filter(state=State.HELD).exists()


def test_a_number_that_goes_to_and_fro_has_no_thousand_separators(superuser, messages, settings):
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = "de", True
    [message] = OutboxMessage.objects.filter(state=State.HELD)
    message.pk, message.first_recipient = 1_234_567, "ann@example.com"
    message.save(force_insert=True)
    Action.objects.create(pk=7_654_321, message=message, verb=Action.Verb.COPIED, other=1_234)
    pages = [list_url(), f"{list_url()}1234567/change/", f"{list_url()}1234567/change/?tab=history"]
    shown = "".join(read(superuser, page) for page in pages)
    asked = read(superuser, f"{list_url()}act/", action="release", message="1234567")
    assert shown.count('name="message" value="1234567"') == 3
    assert "message 1234" in shown
    assert 'name="last_action" value="765432' in asked  # the superuser's opening may be the last one


def test_every_script_and_style_sheet_of_ours_has_the_policys_nonce(superuser, messages):
    for url in [*pages_of(messages), f"{list_url()}act/"]:
        page = superuser.get(url).content.decode()
        ours = re.findall(r"<(?:link|script)[^>]+flasky_mail/[^>]+>", page)
        assert len(ours) >= 6
        assert all(' nonce="n0nce"' in element for element in ours)
        assert not re.search(r'<style|\sstyle="|<script>|\son\w+="', page)


def test_the_index_is_djangos_own_until_the_project_puts_the_strip_on_it(superuser, messages, settings, tmp_path):
    assert "overview" not in read(superuser, OFFICE)
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "index.html").write_text(
        '{% extends "admin/index.html" %}{% load flasky_mail %}{% block content %}{% outbox_strip %}{% endblock %}'
    )
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    oldest = OutboxMessage.objects.get(state=State.QUEUED)
    page = read(superuser, OFFICE)
    assert f'<a href="{list_url()}{oldest.pk}/change/">' in page
    assert len(re.findall(r'flasky_mail/[^>]+ nonce="n0nce">', page)) == 2
    assert "overview" not in read(superuser, "/kiosk/")


MAILBOX = "/dev/mails/"


def test_the_mailbox_stands_in_a_layout_of_its_own_and_leads_to_itself(client, messages, settings):
    settings.DEBUG = True
    parts = [f"{MAILBOX}{messages[0].pk}/?tab={tab}" for tab in TABS]
    links = set()
    for url in [
        MAILBOX,
        *parts,
        f"{MAILBOX}templates/",
        f"{MAILBOX}templates/mail/flasky_mail/test/",
    ]:
        page = read(client, url)
        links |= {unescape(link) for link in re.findall(r' (?:href|src)="(/[^"#]*)', page)}
    pages = {link for link in links if not link.startswith("/static/flasky_mail/")}
    assert f"{MAILBOX}templates/html/en/usual/mail/flasky_mail/test/" in pages
    for link in pages:
        assert link.startswith(MAILBOX)
        assert client.get(link).status_code == 200, link


def test_the_mailbox_stands_in_the_projects_layout_if_it_has_one_for_it(client, settings, tmp_path):
    settings.DEBUG = True
    layout = tmp_path / "flasky_mail" / "web" / "base.html"
    layout.parent.mkdir(parents=True)
    layout.write_text("<title>Shop: {% block page_title %}{% endblock %}</title>{% block content %}{% endblock %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    assert read(client, MAILBOX).startswith("<title>Shop: Mailbox</title>")
