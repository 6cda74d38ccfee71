"""flasky.mail.web.failures: what has failed, by reason and domain, and the one action for each group."""

import re

import pytest
from django.core.mail import EmailMessage

from flasky.mail.models import OutboxMessage, State
from flasky.mail.web import failures
from flasky.mail.web.failures import failure_groups
from flasky.mail.web.search import Listing

pytestmark = pytest.mark.django_db

LIST = "/admin/flasky_mail/outboxmessage/"
FULL, UNKNOWN = "452 4.2.2 <{}>: Mailbox full", "550 5.1.1 <{}>: User unknown"


def fail(*recipients, reply=FULL, state=State.FAILED):
    email = EmailMessage("Hi", "Hello", "ann@example.com", recipients)
    email.send()
    message = email.outbox_message
    OutboxMessage.objects.filter(pk=message.pk).update(state=state, last_reply=reply.format(recipients[0]))
    return message.pk


def shown():
    return [(str(group.label), group.domain, len(group.keys)) for group in failure_groups()]


def test_what_failed_for_one_reason_at_one_domain_is_a_group_and_the_largest_comes_first():
    fail("a@example.org", reply=UNKNOWN)
    for name in ("a", "b"):
        fail(f"{name}@example.com")
    fail("a@example.com", reply=UNKNOWN)
    fail("c@example.com", state=State.SENT)
    assert shown() == [
        ("mailbox full", "example.com", 2),
        ("user unknown", "example.com", 1),
        ("user unknown", "example.org", 1),
    ]


def test_a_domain_is_in_its_own_letters_and_several_are_named_so():
    fail("a@xn--bcher-kva.example")
    fail("a@example.com", "b@example.org")
    assert {domain for _, domain, _ in shown()} == {"bücher.example", "several domains"}


def test_a_group_leads_to_its_messages():
    chosen = [fail("a@example.com"), fail("b@example.com")]
    fail("a@example.com", reply=UNKNOWN)
    [group, _] = failure_groups()
    listing = Listing({"tab": "failed", "why": group.name})
    assert sorted(message.pk for message in listing.page) == chosen
    assert listing.is_narrowed
    assert Listing({"tab": "failed", "why": "9.9@example.com"}).page == []


def test_only_the_newest_failures_are_read(monkeypatch):
    monkeypatch.setattr(failures, "NEWEST", 1)
    fail("old@example.com")
    fail("new@example.com", reply=UNKNOWN)
    assert shown() == [("user unknown", "example.com", 1)]


def test_a_group_is_requeued_with_one_button(staff):
    client = staff("change_outboxmessage")
    keys = [fail("a@example.com"), fail("b@example.com")]
    other = fail("a@example.com", reply=UNKNOWN)
    page = client.get(f"{LIST}?tab=failed").content.decode()
    named = re.search(r'name="message" value="([\d,]+)"', page)[1]
    client.post(f"{LIST}act/", {"action": "requeue", "message": named, "confirmed": "1"})
    assert sorted(OutboxMessage.objects.filter(state=State.QUEUED).values_list("pk", flat=True)) == keys
    assert OutboxMessage.objects.get(pk=other).state == State.FAILED


def test_the_groups_stand_only_where_the_failures_are(staff):
    client = staff("view_outboxmessage")
    fail("a@example.com")
    assert "1 × mailbox full at" in client.get(f"{LIST}?tab=failed").content.decode()
    assert "1 × mailbox full at" not in client.get(LIST).content.decode()
    assert '<button name="action"' not in client.get(f"{LIST}?tab=failed").content.decode()
