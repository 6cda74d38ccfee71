"""accounts.languages: a mail to a user is written in the user's language."""

from email import message_from_bytes, policy

import pytest
from django.db import connection
from django.utils import translation

from accounts.languages import language_of
from accounts.models import User
from flasky.mail import language_for, send_email
from flasky.mail.models import OutboxMessage

pytestmark = pytest.mark.django_db

ANN, BOB = "ann@example.com", "bob@example.com"
CHINESE = "zh-hans"


def body_of(message):
    return message_from_bytes(message.content, policy=policy.default).get_body(("plain",)).get_content()


@pytest.fixture
def ann():
    return User.objects.create_user("Ann", ANN, "secret", language=CHINESE)


@pytest.mark.parametrize("to", [ANN, [ANN], "Ann <ann@example.com>", "ANN@EXAMPLE.COM", ["Ann <Ann@Example.com>"]])
def test_a_mail_to_a_user_is_in_the_users_language(ann, to):
    assert "用户" in send_email(to, "Hello", "mail/new_user", user=ann).body


def test_whoever_sends_it_may_say_otherwise(ann):
    assert "has joined" in send_email(ANN, "Hello", "mail/new_user", language="en", user=ann).body


def test_a_subject_that_is_lazy_is_in_it_too(ann):
    subject = translation.gettext_lazy("Choose a new password")
    assert "设置新密码" in send_email(ANN, subject, "mail/new_user", user=ann).subject


@pytest.mark.parametrize("language", ["", "tlh"])
def test_who_has_chosen_none_or_one_that_is_gone_gets_the_sites(ann, settings, language):
    User.objects.update(language=language)
    assert language_for([ANN]) == "en"
    settings.LANGUAGE_CODE = CHINESE
    assert language_for([ANN]) == CHINESE


@pytest.mark.parametrize("to", [[], [""], ["nobody@example.com"], ["no address"], ["\0@example.com"], ["\ud800"]])
def test_who_is_no_user_gets_the_sites(to):
    User.objects.create(username="a visitor, who has no address", language=CHINESE)
    assert language_for(to) == "en"


def test_several_get_the_language_that_they_have_in_common(ann):
    assert language_of([ANN, BOB]) == ""
    bob = User.objects.create_user("Bob", BOB, language=CHINESE)
    assert language_of([ANN, BOB]) == CHINESE
    bob.language = "en"
    bob.save()
    assert language_of([ANN, BOB]) == ""


def test_the_notification_is_in_the_administrators_language(client, settings):
    User.objects.create_user("Root", "admin@example.com", language=CHINESE)
    client.post("/", {"name": "Zoë"}, headers={"accept-language": "en"})
    message = OutboxMessage.objects.get(subject__contains="Zoë")
    assert message.subject == "[Flasky] 新用户：Zoë"
    assert "通过表单" in body_of(message)


@pytest.mark.parametrize(
    ("chosen", "asked", "expected"),
    [(CHINESE, "en", "设置新密码"), ("", CHINESE, "设置新密码"), ("en", CHINESE, "Choose a new password")],
)
def test_a_new_password_is_mailed_in_the_users_language_else_the_pages(client, ann, chosen, asked, expected):
    User.objects.update(language=chosen)
    client.post("/admin/password_reset/", {"email": ANN}, headers={"accept-language": asked})
    assert OutboxMessage.objects.get(kind="mail/password_reset").subject == f"[Flasky] {expected}"


def test_what_is_stored_stays_in_its_language(ann):
    send_email(ANN, "Hello", "mail/new_user", user=ann)
    User.objects.update(language="en")
    assert "用户" in body_of(OutboxMessage.objects.get(kind="mail/new_user", cause=""))


@pytest.mark.parametrize(("asked", "noted"), [("zh-CN", CHINESE), ("en", ""), ("de", "")])
def test_the_form_notes_what_its_page_speaks_unless_it_is_the_sites(client, asked, noted):
    client.post("/", {"name": "Zoë"}, headers={"accept-language": asked})
    assert User.objects.get().language == noted


def test_a_known_name_keeps_its_language(client):
    for asked in (CHINESE, "en"):
        client.post("/", {"name": "Zoë"}, headers={"accept-language": asked})
    assert User.objects.get().language == CHINESE


def test_the_admin_offers_the_languages(admin_client, ann):
    page = admin_client.get(f"/admin/accounts/user/{ann.pk}/change/").content.decode()
    assert '<option value="">the site’s language</option>' in page
    assert '<option value="zh-hans" selected>简体中文</option>' in page


def test_a_process_of_before_can_store_users():
    with connection.cursor() as cursor:
        columns = [field.column for field in User._meta.fields if field.column not in ("id", "language")]
        values = {"date_joined": "2026-01-01 00:00:00", "last_login": None, "is_active": True}
        given = [values.get(column, False if column.startswith("is_") else "") for column in columns]
        marks = ", ".join(["%s"] * len(columns))
        cursor.execute(f"INSERT INTO accounts_user ({', '.join(columns)}) VALUES ({marks})", given)
    assert User.objects.get().language == ""


def test_one_look_at_an_index_finds_the_language(ann, django_assert_num_queries):
    with django_assert_num_queries(1):
        language_of([ANN, BOB])
