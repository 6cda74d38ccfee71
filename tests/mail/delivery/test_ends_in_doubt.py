"""A relay that takes the text and never says so clearly: how many copies of a mail it gets."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db.models.functions import Now

from flasky.mail.delivery.engine import deliver_due
from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.runtime import clock as the_database
from flasky.mail.transports import smtp
from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)

ENDS = {
    "hangs up": "drop",
    "takes it and hangs up": "take and drop",
    "talks nonsense": "Ahoy",
    "asks for more": "354 Go on",
}


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test sets it forward; leases go by the database's own."""
    return Clock(monkeypatch)


class Clock:
    def __init__(self, monkeypatch):
        self.start = self.now = the_database.now()
        monkeypatch.setattr(the_database, "now", lambda: self.now)

    def seconds(self):
        return (self.now - self.start).total_seconds()


def store(clock, *recipients):
    email = EmailMessage("Hi", "Hello", "ann@example.com", list(recipients) or ["b@example.com"])
    email.send()
    # The columns' defaults were bound to the real clock when the model was made.
    OutboxMessage.objects.update(created_at=clock.now, queued_at=clock.now, next_attempt_at=clock.now)
    email.outbox_message.refresh_from_db()
    return email.outbox_message


def deliver_until(message, clock, seconds):
    """Deliver whenever the message is due, for so long; return how often it was handed over."""
    copies = 0
    while message.state == State.QUEUED and clock.seconds() <= seconds:
        copies += deliver_due().total()
        message.refresh_from_db()
        clock.now = max(message.next_attempt_at, clock.now)
    return copies


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_in_80_seconds_it_gets_four_copies_and_not_one_each_second(settings, clock, end):
    with ScriptedRelay(CONTENT=end) as relay:
        use_relay(settings, relay)
        assert deliver_until(store(clock), clock, seconds=80 * 1.1) == 4


def test_in_five_days_it_gets_five_copies_and_the_message_is_held_with_the_reason(settings, clock, caplog):
    with ScriptedRelay(CONTENT="take and drop") as relay:
        use_relay(settings, relay)
        message = store(clock)
        assert deliver_until(message, clock, seconds=5 * 86400) == len(relay.accepted) == 5
    assert (message.state, message.finished_at) == (State.HELD, None)
    assert "No reply to the whole message" in message.last_reply
    assert f"Message {message.pk} held" in caplog.text
    assert "So ended 5 attempts in a row: decide in the outbox what becomes of it." in caplog.text


def test_a_silent_relay_gets_no_more_copies_than_one_that_hangs_up(settings, clock, monkeypatch):
    monkeypatch.setattr(smtp, "CONTENT_TIMEOUT", 0.1)  # times MAIL_TIMEOUT
    with ScriptedRelay(CONTENT="silence") as relay:
        use_relay(settings, relay, MAIL_TIMEOUT=1)
        assert deliver_until(store(clock), clock, seconds=5 * 86400) == 5


def test_recipients_in_doubt_do_not_get_the_mail_again_at_once_because_another_has_it(settings, clock):
    """The other was one too many for the relay: it would be welcome at once, in a mail of its own."""
    with ScriptedRelay(RCPT=[None, "452 4.5.3 Too many recipients"], CONTENT=["take and drop"]) as relay:
        use_relay(settings, relay)
        message = store(clock, "b@example.com", "c@example.com")
        deliver_due()
        message.refresh_from_db()
    assert message.next_attempt_at - clock.now > timedelta(seconds=4)


def test_a_clear_answer_in_between_starts_the_count_anew(settings, clock):
    with ScriptedRelay(CONTENT=[*["drop"] * 4, "451 4.3.0 Not now", *["drop"] * 4]) as relay:
        use_relay(settings, relay)
        message = store(clock)
        assert deliver_until(message, clock, seconds=5 * 86400) == 10
    assert message.state == State.SENT


def test_dead_holders_and_silent_relays_count_together(settings, clock):
    with ScriptedRelay(CONTENT="drop") as relay:
        use_relay(settings, relay)
        message = store(clock)
        for _ in range(2):
            deliver_until(message, clock, seconds=clock.seconds())
            OutboxMessage.objects.claim(1)
            OutboxMessage.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
            OutboxMessage.objects.take_over_expired()
            message.refresh_from_db()
        deliver_until(message, clock, seconds=clock.seconds())
    assert message.state == State.HELD
    assert message.attempts.filter(outcome=Attempt.Outcome.UNKNOWN).count() == 5


def test_a_person_who_releases_it_allows_as_many_copies_again(settings, clock):
    with ScriptedRelay(CONTENT="drop") as relay:
        use_relay(settings, relay)
        message = store(clock)
        deliver_until(message, clock, seconds=5 * 86400)
        OutboxMessage.objects.release(by="Ann")
        message.refresh_from_db()
        assert (message.state, message.unknown_ends) == (State.QUEUED, 0)
        assert deliver_until(message, clock, seconds=clock.seconds() + 5 * 86400) == 5
    assert message.state == State.HELD
