"""Whatever a relay says, and whoever dies meanwhile: no message waits beyond its time, and no reply is lost."""

import random
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from hypothesis import HealthCheck, example, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from flasky.mail import transports
from flasky.mail.conf import conf
from flasky.mail.delivery import engine
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.retries import RETRY_JITTER, RETRY_PAUSES
from flasky.mail.models import HourlyCount, OutboxMessage, State
from flasky.mail.models.hourly import ASIDE
from flasky.mail.runtime import clock as the_database
from flasky.mail.transports import TransportUnavailable
from tests.conftest import forget_the_servers, use_relay
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)

PROBE = timedelta(hours=1)  # the longest pause while the relay is away
LAST_TURN = timedelta(seconds=RETRY_PAUSES[-1] * (1 + RETRY_JITTER))
SAID = {
    "connect": ["421 4.3.2 Not now | drop", "drop", "554 Go away"],
    "MAIL": [
        "421 4.7.0 Bye | drop",
        "451 4.3.0 Later",
        "550 5.7.60 Not as this sender",
        "452 4.4.5 no more mails per session",
    ],
    "RCPT": [
        "454 4.7.1 Relay access denied",
        "421 4.7.0 Too many errors | drop",
        "452 4.5.3 Too many recipients",
        "550 5.1.1 Nobody",
        "550 5.4.5 Daily user sending quota exceeded",
        "450 Try again in 1 seconds",
        "drop",
    ],
    "DATA": ["421 4.3.2 Bye | drop", "503 5.5.1 Bad sequence", "554 5.7.1 No", "drop"],
    "CONTENT": [
        "421 4.3.2 Bye | drop",
        "451 4.3.0 Later, try again in 5 minutes",
        "550 5.4.5 Daily user sending quota exceeded",
        "554 5.7.1 Rejected by policy",
        "454 4.7.0 Throttling failure: Maximum sending rate exceeded.",
        "432 4.3.2 Concurrent connections limit exceeded",
        "554 recipient count exceeds the limit",
        "take and drop",
        "drop",
        "nonsense",
    ],
}
relays = st.fixed_dictionaries({moment: st.lists(st.sampled_from(said), max_size=2) for moment, said in SAID.items()})


@pytest.fixture
def relay(settings):
    with ScriptedRelay() as relay:
        use_relay(settings, relay)
        yield relay


class Clock:
    def __init__(self, monkeypatch):
        self.start = self.now = the_database.now()
        monkeypatch.setattr(the_database, "now", lambda: self.now)


def live_with(relay, clock, said, seed, kindness, crashes):
    """Deliver three mails to a relay that says these things by chance, until its patience and ours are over."""
    chance = random.Random(seed)
    clock.now = clock.start
    OutboxMessage.objects.all().delete()
    somebody_is_there_from(clock.start)
    transports.close_kept()
    forget_the_servers()
    relay.accepted.clear()
    relay.script = {
        moment: lambda replies=replies: chance.choice(replies) if replies and chance.random() >= kindness else None
        for moment, replies in said.items()
    }
    for number in range(1, 4):
        EmailMessage("Hi", "Hello", "ann@example.com", [f"b{each}@example.com" for each in range(number)]).send()
    OutboxMessage.objects.update(created_at=clock.now, queued_at=clock.now, next_attempt_at=clock.now)
    messages = OutboxMessage.objects.count()
    limit = clock.start + timedelta(days=conf.MAIL_GIVE_UP_DAYS) + LAST_TURN + messages * PROBE
    while OutboxMessage.objects.unfinished().exists() and clock.now <= limit:
        if chance.random() < crashes:
            die_with_a_claim()
        try:
            deliver_due()
        except TransportUnavailable:
            clock.now += PROBE
        following = OutboxMessage.objects.next_attempt_after(clock.now)
        clock.now = following or clock.now + PROBE
    left = list(OutboxMessage.objects.unfinished().values_list("state", "last_reply", "queued_at"))
    assert not left, "these wait beyond their time"
    for message in OutboxMessage.objects.all():
        heard = any(outcome["accepted"] for outcome in message.outcomes.values())
        assert heard or message.possible_duplicate or message.message_id not in relay.accepted
        assert message.attempt_count == message.attempts.count()
        assert message.state != State.SENT or heard


def somebody_is_there_from(moment):
    """Note what whoever delivers notes each hour, whatever the relay says."""
    HourlyCount.objects.all().delete()
    hours = (moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=number) for number in range(24 * 10))
    HourlyCount.objects.bulk_create(HourlyCount(hour=hour, slot=ASIDE) for hour in hours)


def die_with_a_claim():
    OutboxMessage.objects.claim(1)
    OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=Now() - timedelta(seconds=1))
    OutboxMessage.objects.take_over_expired()


@rules(max_examples=8, suppress_health_check=list(HealthCheck))
@given(relays, st.integers(0, 1000), st.sampled_from([0, 0.5, 0.9]), st.sampled_from([0, 0.1]))
@example({"connect": ["421 4.3.2 Bye | drop"]}, 0, 0, 0)
@example({"MAIL": ["421 4.3.2 Bye | drop"]}, 0, 0, 0)
@example({"MAIL": ["550 5.7.60 Not as this sender"]}, 0, 0, 0)
@example({"CONTENT": ["550 5.4.5 Daily user sending quota exceeded"]}, 0, 0, 0)
@example({"RCPT": ["452 4.5.3 Too many recipients"]}, 0, 0.5, 0)
def test_no_message_waits_beyond_its_time_and_no_reply_is_lost(relay, monkeypatch, said, seed, kindness, crashes):
    with monkeypatch.context() as patch:
        live_with(relay, Clock(patch), said, seed, kindness, crashes)


def test_without_a_look_at_the_age_of_what_upsets_the_relay_one_would_wait_for_ever(relay, monkeypatch):
    """The test above can fail."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(engine, "is_too_old", lambda *arguments: False)
    monkeypatch.setattr(engine, "_give_up_what_is_too_old", lambda *arguments: None)
    with pytest.raises(AssertionError, match="beyond their time"):
        live_with(relay, clock, {"MAIL": ["421 4.3.2 Bye | drop"]}, 0, 0, 0)
