"""A message to an address that there is not: it is corrected, and the mail sent again as a new one."""

import pytest
from django.core.mail import EmailMultiAlternatives

from flasky.mail.models import OutboxMessage, State
from flasky.mail.wire.rebuild import rebuild

pytestmark = pytest.mark.django_db

LIST = "/admin/flasky_mail/outboxmessage/"
UNKNOWN, FULL = "550 5.1.1 User unknown", "452 4.2.2 Mailbox full"


@pytest.fixture
def actor(staff):
    return staff("change_outboxmessage", "open_outboxmessage")


def fail(reply=UNKNOWN, **changes):
    email = EmailMultiAlternatives(
        "Hi", "Hello", "ann@example.com", ["Bob <bob@exmaple.com>"], cc=["carl@example.com"], bcc=["dora@example.com"]
    )
    email.send()
    message = email.outbox_message
    outcomes = {"bob@exmaple.com": {"accepted": False, "reply": reply}}
    fields = {"state": State.FAILED, "last_reply": reply, "outcomes": outcomes} | changes
    OutboxMessage.objects.filter(pk=message.pk).update(**fields)
    return message


def page(client, message):
    return client.get(f"{LIST}{message.pk}/change/").content.decode()


def correct(client, message, address, **fields):
    data = {"action": "correct", "message": message.pk, "corrected": address} | fields
    return client.post(f"{LIST}act/", data, follow=True).content.decode()


def test_the_page_offers_to_correct_the_address_where_that_helps(actor):
    assert 'name="corrected" value="bob@exmaple.com"' in page(actor, fail())
    assert "corrected" not in page(actor, fail(FULL))
    assert "corrected" not in page(actor, fail(state=State.SENT))


def test_the_corrected_address_alone_gets_a_new_message(actor):
    message = fail()
    asked = correct(actor, message, " bob@example.com ")
    assert "It goes to <bdi>bob@example.com</bdi>." in asked
    assert 'name="corrected" value="bob@example.com"' in asked
    assert "1 sent again." in correct(actor, message, "bob@example.com", confirmed="1")
    new = OutboxMessage.objects.latest("pk")
    assert (new.recipients, new.first_recipient, new.state) == (["bob@example.com"], "bob@example.com", State.QUEUED)
    assert b"To: bob@example.com\r\n" in new.content
    assert not [name for name in (b"exmaple", b"carl") if name in new.content]
    assert bytes(new.content).endswith(b"Hello")
    assert new.message_id != message.message_id


def test_a_provider_gets_the_corrected_address_too(actor):
    correct(actor, fail(), "bob@example.com", confirmed="1")
    new = OutboxMessage.objects.latest("pk")
    email = rebuild(new.content, new.envelope_sender, new.recipients, new.provider_options, new.as_given)
    assert (email.to, email.cc, email.bcc) == (["bob@example.com"], [], [])
    assert (email.subject, email.body) == ("Hi", "Hello")


@pytest.mark.parametrize("address", ["", "bob", "bob@", "bob@example.com\r\nBcc: x@example.com", "böb@example.com"])
def test_what_is_no_address_is_said_to_be_none(actor, address):
    assert "is not a mail address" in correct(actor, fail(), address, confirmed="1")
    assert OutboxMessage.objects.count() == 1


def test_who_may_not_read_the_mail_may_not_send_it_to_an_address_of_theirs(staff):
    client, message = staff("change_outboxmessage"), fail()
    assert "corrected" not in page(client, message)
    data = {"action": "correct", "message": message.pk, "corrected": "me@example.com", "confirmed": "1"}
    assert client.post(f"{LIST}act/", data).status_code == 403


@pytest.mark.parametrize("changes", [{"is_sensitive": True}, {"content": b""}, {"state": State.SENT}])
def test_what_may_not_be_shown_or_did_not_fail_is_sent_nowhere_else(actor, changes):
    correct(actor, fail(**changes), "bob@example.com", confirmed="1")
    assert OutboxMessage.objects.count() == 1


@pytest.mark.parametrize(
    ("state", "primary"),
    [(State.QUEUED, "try_now"), (State.HELD, "release"), (State.FAILED, "requeue"), (State.SENT, None)],
)
def test_one_button_is_the_one_that_helps(actor, state, primary):
    shown = page(actor, fail(FULL, state=state))
    assert shown.count('class="primary"') == (primary is not None)
    assert primary is None or f'value="{primary}" class="primary"' in shown
