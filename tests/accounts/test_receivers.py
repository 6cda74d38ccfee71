"""accounts.receivers: the administrators hear of a new user."""

import json
from html import unescape

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils.html import strip_tags

from accounts.models import User
from accounts.templatetags.names import HAIR_SPACE
from flasky.mail.models import OutboxMessage, State
from flasky.mail.wire.rebuild import html_body, parse, text_body

pytestmark = pytest.mark.django_db


def test_a_new_user_is_told_to_the_administrator(settings):
    settings.FLASKY_ADMIN = ["boss@example.com"]
    User.objects.create(username="Ann")
    message = OutboxMessage.objects.get()
    assert message.subject == "[Flasky] New User: Ann"
    assert message.recipients == ["boss@example.com"]
    assert message.envelope_sender == "flasky@example.com"
    assert message.state == State.QUEUED


def test_the_mail_says_what_it_is_and_whom_it_is_about():
    user = User.objects.create(username="Ann")
    message = OutboxMessage.objects.get()
    assert (message.kind, message.cause) == ("mail/new_user", f"accounts.user:{user.pk}")


def came_from():
    message = OutboxMessage.objects.get()
    return message.source, message.actor


def test_a_name_in_the_form_comes_through_the_form_from_nobody_known(client):
    client.post("/", {"name": "Ann"})
    assert came_from() == ("index", "")


def test_a_user_added_in_the_admin_comes_from_the_one_who_added_it(client):
    User.objects.bulk_create([User(username="Boss", is_staff=True, is_superuser=True)])
    client.force_login(User.objects.get())
    client.post(
        "/admin/accounts/user/add/",
        {"username": "Ann", "usable_password": "false", "password1": "", "password2": ""},
    )
    assert came_from() == ("admin", "Boss")


def test_a_user_of_a_script_comes_from_elsewhere():
    User.objects.create(username="Ann")
    assert came_from() == ("", "")


def test_several_administrators_get_one_mail(settings):
    settings.FLASKY_ADMIN = ["ann@example.com", "Bob <bob@example.com>", "cem@example.com"]
    User.objects.create(username="Dora")
    assert OutboxMessage.objects.get().recipients == ["ann@example.com", "bob@example.com", "cem@example.com"]


def test_without_an_administrator_a_user_is_stored_and_nobody_told(settings):
    settings.FLASKY_ADMIN = []
    User.objects.create(username="Ann")
    assert User.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_two_new_users_are_two_mails():
    User.objects.create(username="Ann")
    User.objects.create(username="Bob")
    assert OutboxMessage.objects.count() == 2


def test_a_changed_user_is_no_news():
    user = User.objects.create(username="Ann")
    user.username = "Anna"
    user.save()
    user.save(update_fields=["last_login"])
    User.objects.update_or_create(username="Anna", defaults={"first_name": "Anna"})
    User.objects.filter(pk=user.pk).update(first_name="Ann")
    assert OutboxMessage.objects.count() == 1


def test_a_log_in_and_a_removal_are_no_news(client):
    user = User.objects.create(username="Ann")
    client.force_login(user)
    assert OutboxMessage.objects.count() == 1
    user.delete()
    assert OutboxMessage.objects.count() == 0  # the mail about them goes with them


def test_users_from_a_fixture_are_no_news(tmp_path):
    fixture = tmp_path / "users.json"
    fixture.write_text(json.dumps([{"model": "accounts.user", "fields": {"username": "Ann", "password": "!"}}]))
    call_command("loaddata", fixture, verbosity=0)
    assert User.objects.get().username == "Ann"
    assert not OutboxMessage.objects.exists()


def test_users_created_in_bulk_are_no_news():
    User.objects.bulk_create([User(username="Ann"), User(username="Bob")])
    assert User.objects.count() == 2
    assert not OutboxMessage.objects.exists()


def test_both_bodies_name_the_user_and_only_html_is_escaped():
    User.objects.create(username="O'Brien <b>")
    email = parse(OutboxMessage.objects.get().content)
    text, html = text_body(email), html_body(email)
    assert "User O'Brien <b> has joined." in text
    assert "O&#x27;Brien &lt;b&gt;" in html
    assert "O'Brien" not in html
    assert "User O'Brien <b> has joined." in " ".join(unescape(strip_tags(html)).split())


@pytest.mark.parametrize("name", ["佐藤 花子", "محمد", "👩\u200d👧", "{{ user.password }}", "{% now 'Y' %}"])
def test_a_name_arrives_letter_by_letter(name):
    User.objects.create(username=name)
    email = parse(OutboxMessage.objects.get().content)
    assert f"User {name} has joined." in text_body(email).replace(HAIR_SPACE, "")
    assert name in unescape(html_body(email)).replace(HAIR_SPACE, "")


def test_nothing_that_the_user_typed_is_in_a_header_but_the_subject():
    User.objects.create(username="Eve bcc eve@example.org")
    email = parse(OutboxMessage.objects.get().content)
    assert [name for name, value in email.items() if "Eve" in str(value)] == ["Subject"]


@pytest.mark.django_db(transaction=True)
def test_the_user_and_the_mail_are_stored_together_or_not_at_all():
    with transaction.atomic():
        User.objects.create(username="Ann")
        assert OutboxMessage.objects.count() == 1
        transaction.set_rollback(True)
    assert not User.objects.exists()
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_mail_that_cannot_be_stored_leaves_no_user_of_whom_nobody_is_told(settings):
    settings.FLASKY_ADMIN = ["no address"]
    with pytest.raises(ValueError, match="no address"):
        User.objects.create(username="Ann")
    assert not User.objects.exists()
