"""flasky.mail.notices: what people must be told, in sentences."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.models import OutboxMessage, RelayTrouble, State
from flasky.mail.notices import DELIVERERS, about, notices, overdue, pruned

pytestmark = pytest.mark.django_db


def store(due_for=timedelta(0)):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    due_at = timezone.now() - due_for
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(next_attempt_at=due_at)
    return email.outbox_message


def test_an_outbox_that_is_delivered_needs_no_word():
    store()
    store(timedelta(seconds=290))
    assert notices() == []
    assert overdue() == ""


def test_overdue_mail_is_counted_and_the_oldest_named():
    store(timedelta(minutes=6))
    store(timedelta(days=3, hours=1))
    assert notices() == [
        f"2 messages are overdue, the oldest by 3 days. Nobody delivers, or not fast enough. {DELIVERERS}"
    ]


def test_while_a_relay_is_away_it_is_not_said_that_nobody_delivers():
    store(timedelta(minutes=6))
    RelayTrouble.objects.note("relay.test:25", "It was away.", timezone.now())
    assert notices() == [str(RelayTrouble.objects.get()), "1 message is overdue, the oldest by 6 minutes."]


def test_trouble_that_nobody_probes_any_more_is_no_news():
    store(timedelta(minutes=6))
    RelayTrouble.objects.note("old.test:25", "It was away.", timezone.now() - timedelta(minutes=6))
    [notice] = notices()
    assert "Nobody delivers" in notice


def test_nothing_is_said_about_an_ordinary_message():
    assert about(store()) == []


def test_everything_that_is_unusual_is_said():
    message = store()
    message.state, message.possible_duplicate = State.HELD, True
    message.content = b""
    assert [sentence.split()[0] for sentence in about(message)] == ["Held:", "It", "The"]


def test_a_pruned_message_that_never_ended_has_no_date():
    message = store()
    message.content = b""
    assert pruned(message) == "The body was pruned: bodies of old messages are not kept."
