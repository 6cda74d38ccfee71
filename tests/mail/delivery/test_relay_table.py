"""What each misbehaviour of a relay does to a message: one row each.

Every row is followed by a second try, with a relay that behaves: the message is then accepted exactly once, unless it
was refused for good, or its history says that it may be a duplicate.
"""

from dataclasses import dataclass

import pytest
from django.core.mail import EmailMessage

from flasky.mail import transports
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.transports import TransportUnavailable
from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db

MORE_THAN_BUFFERS = 10_000_000  # bytes that a relay which stops reading leaves in our hands


@dataclass(frozen=True)
class End:
    state: str
    attempts: int
    doubt: bool = False
    unavailable: bool = False  # said of the relay as a whole: delivery pauses


SENT = End(State.SENT, 1)
LATER = End(State.QUEUED, 1)  # the message is tried again, by its age
FAILED = End(State.FAILED, 1)  # refused for good
DOUBT = End(State.QUEUED, 1, doubt=True)  # handed over whole, and no answer: tried again, marked
WAITS = End(State.QUEUED, 0, unavailable=True)  # the relay's fault: no attempt is spent

# In each row: the moment, what the relay does then, the end of it, how often the relay has accepted the message then.
TABLE = [
    # It cannot be talked to at all.
    ({"connect": "451 4.3.0 Not now"}, WAITS, 0),
    ({"connect": "554 5.7.1 Go away"}, WAITS, 0),
    ({"connect": "421 4.3.2 Shutting down | drop"}, WAITS, 0),
    ({"connect": "silence"}, WAITS, 0),
    ({"connect": "drop"}, WAITS, 0),
    ({"EHLO": "451 4.3.0 Not now", "HELO": "451 4.3.0 Not now"}, WAITS, 0),
    ({"EHLO": "550 5.7.1 Not you", "HELO": "550 5.7.1 Not you"}, WAITS, 0),
    ({"EHLO": "421 4.3.2 Shutting down | drop"}, WAITS, 0),
    ({"EHLO": "silence"}, WAITS, 0),
    ({"EHLO": "drop"}, WAITS, 0),
    ({"EHLO": "502 5.5.1 What?"}, SENT, 1),  # an old one, that knows HELO
    # It does not take the sender.
    ({"MAIL": "451 4.3.0 Not now"}, LATER, 0),
    ({"MAIL": "550 5.7.1 Not you"}, FAILED, 0),
    ({"MAIL": "550 5.7.1 Not you | drop"}, FAILED, 0),
    ({"MAIL": "421 4.3.2 Shutting down | drop"}, WAITS, 0),
    ({"MAIL": "silence"}, LATER, 0),
    ({"MAIL": "drop"}, LATER, 0),
    # It does not take the recipient.
    ({"RCPT": "451 4.2.2 Full"}, LATER, 0),
    ({"RCPT": "550 5.1.1 Nobody"}, FAILED, 0),
    ({"RCPT": "550 5.1.1 Nobody | drop"}, FAILED, 0),
    ({"RCPT": "421 4.3.2 Shutting down | drop"}, LATER, 0),  # about this one, whatever it says
    ({"RCPT": "silence"}, LATER, 0),
    ({"RCPT": "drop"}, LATER, 0),
    # It does not want the content.
    ({"DATA": "451 4.3.0 Not now"}, LATER, 0),
    ({"DATA": "554 5.7.1 No"}, FAILED, 0),
    ({"DATA": "554 5.7.1 No | drop"}, FAILED, 0),
    ({"DATA": "421 4.3.2 Shutting down | drop"}, WAITS, 0),
    ({"DATA": "silence"}, LATER, 0),
    ({"DATA": "drop"}, LATER, 0),
    # The account may not send for a while.
    ({"MAIL": "454 Throttling failure: Daily message quota exceeded"}, WAITS, 0),
    ({"RCPT": "550 5.4.5 Daily user sending quota exceeded"}, WAITS, 0),
    ({"DATA": "552 5.4.5 Daily sending quota exceeded"}, WAITS, 0),
    ({"CONTENT": "550 5.4.5 Daily user sending quota exceeded"}, WAITS, 0),
    ({"CONTENT": "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException"}, WAITS, 0),
    ({"CONTENT": "550 5.1.90 Your message can't be sent because you've reached your daily limit"}, WAITS, 0),
    # It has the content.
    ({"CONTENT": "451 4.3.0 Not now"}, LATER, 0),
    ({"CONTENT": "554 5.7.1 Spam"}, FAILED, 0),
    ({"CONTENT": "554 5.7.1 Spam | drop"}, FAILED, 0),
    ({"CONTENT": "421 4.3.2 Shutting down | drop"}, WAITS, 0),
    ({"CONTENT": "silence"}, DOUBT, 0),
    ({"CONTENT": "drop"}, DOUBT, 0),
    ({"CONTENT": "take and drop"}, DOUBT, 1),
    ({"CONTENT": "what?"}, DOUBT, 0),
    ({"CONTENT": "250 2.0.0 Queued | drop"}, SENT, 1),
    ({"reading": "deaf"}, DOUBT, 0),  # all bytes have left us, the last dot too
]


@pytest.fixture(params=[False, True], ids=["one by one", "in groups"])
def relay(request, settings, monkeypatch):
    """A relay that takes commands one by one, and one that takes them in groups."""
    with ScriptedRelay(pipelining=request.param) as relay:
        use_relay(settings, relay)
        settings.MAIL_TIMEOUT = 1
        monkeypatch.setattr(transports.smtp, "CONTENT_TIMEOUT", 1)
        yield relay


def store(body="Hello"):
    email = EmailMessage("Hi", body, "ann@example.com", ["b@example.com"])
    email.send()
    return email.outbox_message


def deliver():
    """Deliver what is due; return whether the relay was found unavailable."""
    try:
        deliver_due()
    except TransportUnavailable:
        return True
    return False


def end_of(message, unavailable=False):
    message.refresh_from_db()
    assert message.claim_token is None
    assert message.attempts.count() == message.attempt_count
    return End(message.state, message.attempt_count, message.possible_duplicate, unavailable)


def name(row):
    return ", ".join(f"{moment}: {behaviour}" for moment, behaviour in row.items()) if isinstance(row, dict) else ""


@pytest.mark.parametrize(("script", "end", "accepted"), TABLE, ids=name)
def test_what_becomes_of_the_message(relay, script, end, accepted):
    message = store()
    relay.script = script
    assert end_of(message, unavailable=deliver()) == end
    assert relay.accepted == [message.message_id] * accepted
    if end.doubt:
        assert message.attempts.get().outcome == Attempt.Outcome.UNKNOWN
    check_the_second_try(relay, message, end, accepted)


def check_the_second_try(relay, message, end, accepted):
    relay.behave()
    OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=message.created_at)
    assert not deliver()
    if end.state == State.QUEUED:
        accepted += 1
        end = End(State.SENT, end.attempts + 1, end.doubt)
    assert end_of(message) == end
    assert relay.accepted == [message.message_id] * accepted
    assert accepted == (message.state == State.SENT) or message.possible_duplicate


def test_a_relay_that_stops_reading_before_the_final_dot_has_not_got_the_message(relay):
    message = store()
    content = bytes(message.content) + (b"x" * 998 + b"\r\n") * (MORE_THAN_BUFFERS // 1000)
    OutboxMessage.objects.update(content=content)
    relay.script = {"reading": "deaf"}
    assert end_of(message, unavailable=deliver()) == LATER
    check_the_second_try(relay, message, LATER, 0)


@pytest.mark.parametrize(
    "behaviour", ["drop", "421 4.4.2 Timeout exceeded | drop"], ids=["without a word", "after a 421"]
)
def test_a_kept_connection_that_ended_meanwhile_costs_nothing(relay, behaviour):
    first, second = store(), store()
    relay.script = {"idle": [behaviour]}
    assert not deliver()
    assert (end_of(first), end_of(second)) == (SENT, SENT)
    assert relay.accepted == [first.message_id, second.message_id]
    assert relay.sessions == 2


def test_a_relay_that_gives_up_in_the_middle_of_many_gets_each_of_them_once(relay):
    messages = [store() for _ in range(20)]
    relay.script = {"CONTENT": [None] * 3 + ["421 4.3.2 Shutting down | drop"], "RCPT": [None] * 8 + ["drop"]}
    assert deliver()
    OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=messages[0].created_at)
    assert not deliver()
    OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=messages[0].created_at)
    assert not deliver()
    assert sorted(relay.accepted) == sorted(message.message_id for message in messages)
    assert not OutboxMessage.objects.exclude(state=State.SENT, possible_duplicate=False).exists()
