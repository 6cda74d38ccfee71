"""accounts.welcome: what the administrators are told of a new user."""

import re
from datetime import timedelta

import pytest
from django.core.mail import send_mail
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import welcome
from accounts.models import User
from flasky.mail.models import OutboxMessage
from flasky.mail.wire.rebuild import html_body, parse, text_body

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def a_known_site(settings):
    settings.FLASKY_SITE_URL = "https://www.example.com"


def read():
    email = parse(OutboxMessage.objects.latest("pk").content)
    return text_body(email), html_body(email)


def test_it_says_who_when_by_which_way_how_many_and_why_one_gets_it(client):
    client.post("/", {"name": "Ann"})
    text, html = read()
    for said in ("User Ann has joined.", "through the form", "1 new user", "your address is one of Flasky's"):
        assert said in text.replace("\r\n", "\n")
        assert said in re.sub("</?b>", "", html)
    assert f"{timezone.now():%Y}" in text


def test_it_leads_to_the_user_and_to_itself(client, admin_client):
    client.post("/", {"name": "Ann"})
    user = User.objects.get(username="Ann")
    text, html = read()
    for body in (text, html):
        for link in (f"/admin/accounts/user/{user.pk}/change/", f"?cause=accounts.user%3A{user.pk}"):
            assert link in body
    for url in re.findall(r"https://www\.example\.com(/admin/\S+)", text):
        page = admin_client.get(url)
        assert page.status_code == 200
        assert "Ann" in page.content.decode()


def test_without_a_known_site_it_has_no_links(client, settings):
    settings.FLASKY_SITE_URL, settings.ALLOWED_HOSTS = "", ["*"]
    client.post("/", {"name": "Ann"})
    text, html = read()
    assert "http" not in text
    assert "href" not in html


def test_it_says_who_added_the_user_in_the_admin_and_that_a_command_did(admin_client):
    admin_client.post("/admin/accounts/user/add/", {"username": "Ann", "usable_password": "false"})
    assert "in the admin, by admin" in read()[0]
    call_command("createsuperuser", username="Bob", email="", interactive=False, verbosity=0)
    assert "by a command or a program" in read()[0]


def test_those_of_yesterday_do_not_count_and_many_are_not_all_counted(monkeypatch):
    for name in ("Ann", "Bob"):
        User.objects.create(username=name)
    assert welcome.today() == "3 new users"
    OutboxMessage.objects.filter(subject__contains="Ann").update(created_at=timezone.now() - timedelta(days=1))
    assert welcome.today() == "2 new users"
    monkeypatch.setattr(welcome, "MOST_COUNTED", 1)
    assert welcome.today() == "more than 1 new users"


def test_mails_of_another_kind_do_not_count():
    User.objects.create(username="Ann")
    send_mail("Hi", "Hello", None, ["bob@example.com"])
    assert welcome.today() == "2 new users"


@pytest.fixture
def no_budget(settings):
    for share in ("RECIPIENT", "KIND", "TOTAL", "URGENT"):
        setattr(settings, f"MAIL_BUDGET_{share}", ())


def statements_of_a_new(name):
    with CaptureQueriesContext(connection) as asked:
        User.objects.create(username=name)
    return len(asked)


def test_telling_adds_three_statements_to_the_visitors_transaction(settings, no_budget):
    told = statements_of_a_new("Ann")
    settings.FLASKY_ADMIN = []
    assert told - statements_of_a_new("Bob") == 3  # in which language, how many today, and the mail itself


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("Ann", "New User: Ann"),
        ("王小明", "New User: 王小明"),
        ("x" * 200, f"New User: {'x' * 63}…"),
        ("Ann\r\nBcc: eve@evil.example", "New User: Ann Bcc: eve@\u200aevil.\u200aexample"),
        ("=?utf-8?q?Ann?=", "New User: =\u200a?utf-8?q?Ann?="),
        ("Ann\u202egpj.exe", "New User: Ann gpj.\u200aexe"),
        ("https://evil.example", "New User: https:\u200a/\u200a/\u200aevil.\u200aexample"),
    ],
)
def test_the_subject_has_the_name_in_one_harmless_line(name, subject):
    assert welcome.subject(User(username=name)) == subject


def test_it_speaks_the_sites_language_whatever_the_visitors_is(client, settings):
    settings.LANGUAGE_CODE = "zh-hans"
    client.post("/", {"name": "Ann"}, headers={"accept-language": "en"})
    assert OutboxMessage.objects.get().subject == "[Flasky] 新用户：Ann"
    text, html = read()
    assert "通过表单" in text
    assert 'lang="zh-hans"' in html
