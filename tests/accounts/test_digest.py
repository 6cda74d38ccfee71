"""accounts.welcome: many new users within minutes are told of in one mail."""

import re

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone, translation

from accounts.models import User
from accounts.names import normalize_name, validate_name
from accounts.templatetags.names import first_names
from flasky.mail.digests.making import make_digests
from flasky.mail.models import Gathered, OutboxMessage
from flasky.mail.wire.rebuild import html_body, parse, text_body
from tests.hostile_names import ALL

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def digests(settings):
    settings.FLASKY_SITE_URL, settings.MAIL_DIGEST_AFTER = "https://www.example.com", 2


def digest_of(*names):
    """Let people with these names come, behind two others; return the digest that tells of them, read."""
    for name in ("Xaver", "Yuki", *names):
        User.objects.create(username=name)
    Gathered.objects.waiting().update(due_at=timezone.now())
    make_digests()
    message = OutboxMessage.objects.latest("pk")
    assert message.kind == "mail/new_user_digest"
    mail = parse(message.content)
    return message, text_body(mail), html_body(mail)


def test_the_subject_has_how_many_came_and_the_first_names():
    assert digest_of("Ada", "Bo", "Chen", "Dora")[0].subject == "[Flasky] 4 new users: Ada, Bo, Chen …"


def test_with_few_all_are_named():
    assert digest_of("Ada", "Bo")[0].subject == "[Flasky] 2 new users: Ada, Bo"


def test_each_is_listed_with_when_and_how_and_a_link():
    _, text, html = digest_of("Ada", "Bo", "Chen")
    for body in (text, html):
        for user in User.objects.filter(username__in=["Ada", "Bo", "Chen"]):
            assert user.username in body
            assert f"https://www.example.com/admin/accounts/user/{user.pk}/change/" in body
        assert "by a command or a program" in body
        assert "Today: 5 new users" in body
        assert "3 users have joined" in re.sub("</?b>", "", body)
        assert "one of Flasky's administrators" in body


def test_without_a_known_site_it_has_no_links(settings):
    settings.FLASKY_SITE_URL, settings.ALLOWED_HOSTS = "", ["*"]
    _, text, html = digest_of("Ada", "Bo")
    assert "http" not in text
    assert "href" not in html


def test_it_speaks_the_sites_language(settings):
    settings.LANGUAGE_CODE = "zh-hans"
    message, text, html = digest_of("Ada", "Bo", "王小明", "Dora")
    assert message.subject == "[Flasky] 4 位新用户：Ada、Bo、王小明 等"
    assert "4 位用户已加入" in text
    assert 'lang="zh-hans"' in html


def test_markup_in_a_name_is_text():
    _, text, html = digest_of("<b>Ada</b>", "Bo")
    assert "<b>Ada<" in text
    assert "&lt;b&gt;Ada" in html


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("x" * 64, f"{'x' * 23}…"),
        ("Ann\r\nBcc: eve@evil.example", "Ann Bcc: eve@\u200aevil.\u200aexa…"),
        ("=?utf-8?q?Ann?=", "=\u200a?utf-8?q?Ann?="),
        ("Ann\u202egpj.exe", "Ann gpj.\u200aexe"),
    ],
)
def test_a_name_in_the_subject_is_short_and_harmless(name, named):
    with translation.override("en"):
        assert first_names([{"name": name}, {"name": "Bo"}]) == f"{named}, Bo"


def is_taken(name):
    try:
        validate_name(name)
    except ValidationError:
        return False
    return bool(name)


def test_no_hostile_name_keeps_a_digest_from_being_made():
    names = [name for name in map(normalize_name, ALL) if is_taken(name)][:90]
    message, text, _ = digest_of(*names)
    assert message.carried.count() == len(names)
    assert len(message.subject) < 150
    assert "\n" not in message.subject
    assert f"{len(names)} users have joined" in text


def test_a_visitor_sees_that_the_mail_is_on_its_way_and_that_its_digest_was_accepted(client):
    for name in ("Ada", "Bo", "Chen", "Dora"):
        client.post("/", {"name": name})
    assert "is on its way" in client.get("/").content.decode()
    Gathered.objects.waiting().update(due_at=timezone.now())
    make_digests()
    OutboxMessage.objects.filter(kind="mail/new_user_digest").update(state="sent")
    assert "has been handed over" in client.get("/").content.decode()
