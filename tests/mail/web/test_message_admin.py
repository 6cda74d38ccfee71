"""flasky.mail.web.admin: the page of a message in the admin, and who may see it."""

import re

import pytest
from django.core.mail import EmailMultiAlternatives

from accounts.models import User
from flasky.mail.models import OutboxMessage, State

pytestmark = pytest.mark.django_db

PARTS = ["change/", "html/", "eml/", "attachment/1/"]


@pytest.fixture
def actor(staff):
    return staff("view_outboxmessage", "change_outboxmessage", "open_outboxmessage")


@pytest.fixture
def message():
    email = EmailMultiAlternatives("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.attach_alternative("<p>Hello</p>", "text/html")
    email.attach("a.txt", "attached\n", "text/plain")
    email.send()
    return email.outbox_message


def url(message, part="change/"):
    return f"/admin/flasky_mail/outboxmessage/{message.pk}/{part}"


def buttons(response):
    return re.findall(r'<button name="action" value="(\w+)"', response.content.decode())


@pytest.mark.parametrize("part", PARTS)
def test_strangers_are_sent_to_the_log_in(client, message, part):
    response = client.get(url(message, part))
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("part", PARTS)
def test_staff_without_the_permission_see_nothing_of_it(staff, message, part):
    assert staff("view_user").get(url(message, part)).status_code == 403


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("permission", ["view_outboxmessage", "change_outboxmessage"])
def test_who_may_look_or_act_and_open_sees_all_of_it(staff, message, part, permission):
    response = staff(permission, "open_outboxmessage").get(url(message, part))
    assert response.status_code == 200
    assert "private" in response["Cache-Control"]


@pytest.mark.parametrize("part", PARTS)
def test_nothing_of_it_takes_a_post(actor, message, part):
    assert actor.post(url(message, part), {"subject": "x", "_save": "Save"}).status_code == 405
    assert OutboxMessage.objects.get().subject == "Hi"


def test_a_superuser_cannot_edit_it_either(client, message):
    User.objects.bulk_create([User(username="Boss", is_staff=True, is_superuser=True)])
    client.force_login(User.objects.get())
    assert client.post(url(message), {"subject": "x"}).status_code == 405
    assert client.post(url(message, "delete/"), {"post": "yes"}).status_code == 403
    assert OutboxMessage.objects.get().subject == "Hi"


def test_who_may_only_look_is_offered_no_action(viewer, message):
    assert buttons(viewer.get(url(message))) == []


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (State.QUEUED, ["try_now", "send_again", "hold", "cancel", "forward"]),
        (State.SENDING, ["send_again", "forward"]),
        (State.HELD, ["requeue", "send_again", "release", "cancel", "forward"]),
        (State.FAILED, ["requeue", "send_again", "forward"]),
        (State.CANCELLED, ["requeue", "send_again", "forward"]),
        (State.SENT, ["send_again", "forward"]),
    ],
)
def test_who_may_act_is_offered_what_applies(actor, message, state, offered):
    OutboxMessage.objects.update(state=state)
    assert buttons(actor.get(url(message))) == offered


def test_the_page_leads_on_within_the_admin(viewer, message):
    page = viewer.get(url(message)).content.decode()
    for link in (f'src="{url(message, "html/")}"', f'href="{url(message, "eml/")}"'):
        assert link in page
    assert f'href="{url(message, "attachment/1/")}"' in viewer.get(f"{url(message)}?tab=attachments").content.decode()
    assert 'href="/admin/flasky_mail/outboxmessage/"' in page


def test_the_parts_are_what_was_stored(viewer, message):
    assert b"<p>Hello</p>" in viewer.get(url(message, "html/")).content
    assert viewer.get(url(message, "eml/")).content == bytes(message.content)
    assert viewer.get(url(message, "attachment/1/")).content == b"attached\r\n"


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_part_of_a_message_that_does_not_exist_is_not_found(viewer, part):
    for number in (4711, 10**30):
        assert viewer.get(f"/admin/flasky_mail/outboxmessage/{number}/{part}").status_code == 404


@pytest.mark.parametrize("key", ["4711", "rubbish", "1" * 30])
def test_the_page_of_a_message_that_does_not_exist_leads_back_with_a_word(viewer, key):
    response = viewer.get(f"/admin/flasky_mail/outboxmessage/{key}/change/", follow=True)
    assert "Perhaps it was deleted?" in response.content.decode()
