"""flasky.mail.web.previews: every mail with every sample, to be looked at. Only with DEBUG."""

import re
from html import unescape

import pytest

from accounts.models import User
from flasky.mail.models import OutboxMessage
from flasky.mail.previews.kinds import TEXTS, kinds, sample_email

LIST = "/mailbox/templates/"
PAGE = "/mailbox/templates/mail/new_user/"
FRAME = "/mailbox/templates/html/en/usual/mail/new_user/"
UNKNOWN = [
    f"{LIST}mail/nothing/",
    f"{LIST}mail/base/",
    f"{LIST}new_user/",
    f"{LIST}mail/../mail/new_user/",
    f"{PAGE}?language=fr",
    f"{LIST}html/fr/usual/mail/new_user/",
    f"{LIST}html/en/rude/mail/new_user/",
    f"{LIST}html/en/usual/mail/nothing/",
]


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


@pytest.fixture
def german_too(settings):
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]


@pytest.fixture
def write(settings, tmp_path):
    """Add a folder of templates to the project's; return what writes one of them."""
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], tmp_path]} for engine in settings.TEMPLATES]
    (tmp_path / "mail").mkdir()
    return lambda name, content: (tmp_path / "mail" / name).write_text(content, "utf-8")


@pytest.fixture
def read(client, debug):
    """Return the page at a URL."""

    def read(url):
        response = client.get(url)
        assert response.status_code == 200
        return response.content.decode()

    return read


@pytest.mark.parametrize("url", [LIST, PAGE, FRAME, *UNKNOWN])
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_debug_there_are_no_previews(client, method, url):
    assert getattr(client, method)(url).status_code == 404


@pytest.mark.parametrize("url", UNKNOWN)
def test_what_there_is_not_is_not_found(client, debug, url):
    assert client.get(url).status_code == 404


@pytest.mark.parametrize("url", [LIST, PAGE, FRAME])
def test_it_can_only_be_read(client, debug, url):
    assert client.post(url).status_code == 405


def test_the_list_leads_to_every_kind_in_every_language_with_every_sample(read, german_too):
    links = re.findall(r'href="(/mailbox/templates/mail/[^"?]+)\?language=(\w+)#([\w-]+)"', read(LIST))
    assert set(links) == {
        (f"{LIST}{kind}/", language, sample) for kind in kinds() for language in ("en", "de") for sample in TEXTS
    }
    for url, language, sample in links:
        assert f'id="{sample}"' in read(f"{url}?language={language}")


def test_the_list_says_how_many_problems_each_has(read, write):
    assert "problem" not in read(LIST)
    write("one.html", "News")
    write("two.html", "{{ nam }}")
    page = read(LIST)
    assert ">1 problem<" in page
    assert ">2 problems<" in page
    assert page.count(">nothing wrong<") == len(kinds()) - 2


def test_the_page_has_the_html_and_the_text_of_every_sample_side_by_side(read):
    twins = re.findall(
        r'<div class="twins">\s*<iframe ([^>]+)></iframe>\s*<pre[^>]*>\n(.*?)</pre>', read(PAGE), re.DOTALL
    )
    assert len(twins) == len(TEXTS)
    for (frame, text), sample in zip(twins, TEXTS, strict=True):
        assert f'src="{LIST}html/en/{sample}/mail/new_user/"' in frame
        assert unescape(text) == sample_email("mail/new_user", "en", sample).body


def test_the_text_is_escaped_on_the_page(read):
    assert "<script" not in read(PAGE)


def test_the_frames_are_shut_in(read):
    frames = re.findall("<iframe[^>]*>", read(PAGE))
    assert len(frames) == len(TEXTS)
    assert all('sandbox=""' in frame for frame in frames)


@pytest.mark.parametrize("url", [LIST, PAGE])
def test_the_pages_live_with_the_sites_policy(client, debug, url):
    response = client.get(url)
    assert "style-src 'self'" in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"
    assert not re.search(r"<style|<script| style=| on\w+=", response.content.decode())


@pytest.mark.parametrize("sample", TEXTS)
def test_the_frame_has_the_html_that_is_sent(read, sample):
    [(html, _)] = sample_email("mail/new_user", "en", sample).alternatives
    assert read(f"{LIST}html/en/{sample}/mail/new_user/") == html


def test_the_html_stands_alone_in_a_policy_that_allows_nothing_but_its_own_style_and_images(client, debug):
    response = client.get(FRAME)
    policy = dict(directive.partition(" ")[::2] for directive in response["Content-Security-Policy"].split("; "))
    assert (policy["sandbox"], policy["frame-ancestors"]) == ("", "'self'")
    assert {name: value for name, value in policy.items() if name.endswith("-src")} == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
    }
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    assert response["Content-Type"] == "text/html; charset=utf-8"


def test_a_mail_is_shown_in_the_language_that_was_asked_for(read, write, german_too):
    for name in ("week.txt", "week.html"):
        write(name, '{% load i18n %}{% translate "Monday" %}')
    assert "Monday" in read(f"{LIST}mail/week/")
    page = read(f"{LIST}mail/week/?language=de")
    assert "Montag" in page
    assert '<a href="?language=de" aria-current="page">Deutsch</a>' in page
    assert f'src="{LIST}html/de/usual/mail/week/"' in page
    assert read(f"{LIST}html/de/usual/mail/week/") == "Montag"


def test_with_one_language_there_is_none_to_choose(read, settings):
    settings.LANGUAGES = [("en", "English")]
    assert "?language=" not in read(PAGE)


def test_a_mail_with_problems_names_them_and_is_shown(read, write):
    write("news.txt", "News")
    write("news.html", '<a href="/x">')
    page = read(f"{LIST}mail/news/")
    assert "mail/news.html has the relative URL &quot;/x&quot;" in page
    assert page.count("<iframe") == len(TEXTS)


def test_a_mail_that_cannot_be_rendered_says_why(read, write):
    write("news.txt", "{% if not user.username %}{% include 'mail/none.txt' %}{% endif %}")
    write("news.html", "News")
    page = read(f"{LIST}mail/news/")
    assert "It cannot be rendered: <bdi>TemplateDoesNotExist: mail/none.txt</bdi>" in page
    assert page.count("<iframe") == len(TEXTS) - 1


@pytest.mark.django_db
@pytest.mark.parametrize("url", [LIST, PAGE, FRAME])
def test_nothing_is_stored_and_nothing_asked(read, url, django_assert_num_queries):
    with django_assert_num_queries(0):
        read(url)
    assert not User.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_without_a_list_of_languages_mails_are_shown_in_the_one_that_they_are_sent_in(read, settings):
    settings.LANGUAGES = []
    assert "mail/new_user" in read(LIST)
    assert "O&#x27;Brien" in read(PAGE)
