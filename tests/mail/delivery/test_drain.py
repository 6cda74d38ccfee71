"""flasky.mail.delivery.drain: deliver what is due and end, for any program that asks. See also test_deliver_mail.py."""

import pytest
from django.core.mail import EmailMessage

from flasky.mail.delivery.drain import Drain
from flasky.mail.models import Attempt, OutboxMessage, State

pytestmark = pytest.mark.django_db(transaction=True)


def store(*recipients):
    for recipient in recipients:
        EmailMessage("Hi", "Hello", "ann@example.com", [recipient]).send()


def run(stop=lambda: False):
    drain = Drain(stop)
    return drain.run(lambda total: None), drain.outage


def test_what_was_tried_is_counted_by_its_state(relay):
    relay.replies = {"no@example.com": "550 5.1.1 No such user"}
    store("a@example.com", "no@example.com", "b@example.com")
    assert run() == ({State.SENT: 2, State.FAILED: 1}, None)


def test_what_others_try_meanwhile_is_not_counted(relay):
    store("a@example.com", "b@example.com")
    [claimed] = OutboxMessage.objects.claim(1)
    relay.gate.clear()

    def another_tries(total):
        Attempt.objects.create(message=claimed, outcome=Attempt.Outcome.POSTPONED, worker="host 17 mail_0")
        relay.gate.set()

    assert Drain(lambda: False).run(another_tries) == {State.SENT: 1}


def test_an_outage_is_told_and_not_raised(settings):
    settings.MAIL_TRANSPORT, settings.MAIL_PORT = "smtp", 1
    store("a@example.com")
    states, outage = run()
    assert not states
    assert "connection refused" in str(outage)


def test_who_is_stopped_claims_nothing(relay):
    store("a@example.com")
    assert run(stop=lambda: True) == ({}, None)
    assert OutboxMessage.objects.due().count() == 1
