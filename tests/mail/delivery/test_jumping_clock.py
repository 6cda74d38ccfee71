"""The database's clock jumps five days ahead, or back from there: nothing fails, and nothing waits for a wrong time."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.delivery.drain import Drain
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.pruning import DailyPruning
from flasky.mail.delivery.timekeeping import Timekeeper
from flasky.mail.delivery.worker import Worker
from flasky.mail.limits.budget import forget
from flasky.mail.models import ConnectionSlot, DailyTask, OutboxMessage, Process, Relay, State
from flasky.mail.runtime import clock
from flasky.mail.transports import TransportUnavailable, relay_name
from tests import clocks
from tests.clocks import jump
from tests.conftest import use_relay
from tests.own_servers import free_port
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)

FIVE_DAYS = {"days": 5, "minutes": 1}


@pytest.fixture
def relay(settings):
    with ScriptedRelay() as relay:
        use_relay(settings, relay)
        yield relay


def store(**given):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    for name, value in given.items():
        setattr(email, name, value)
    email.send()
    return email.outbox_message


def tried_for(days):
    """Let the mails that wait be so old, and let somebody have tried all that time."""
    then = timezone.now() - timedelta(days=days)
    OutboxMessage.objects.update(created_at=then, queued_at=then)
    clocks.somebody_was_there_for(days)


def without_a_relay(settings):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    settings.MAIL_SERVER, settings.MAIL_PORT = "127.0.0.1", free_port()


def drain():
    Drain(lambda: False).run(lambda total: None)


def state_of(message):
    message.refresh_from_db()
    return message.state


# Ahead


@pytest.mark.parametrize("days", [0, 1, 4])
def test_what_the_relay_refuses_for_now_is_tried_again(relay, days):
    message = store()
    tried_for(days)
    jump(**FIVE_DAYS)
    relay.script["MAIL"] = "451 4.3.0 Not now"
    drain()
    assert state_of(message) == State.QUEUED
    relay.script.clear()
    OutboxMessage.objects.try_now()
    drain()
    assert state_of(message) == State.SENT


@pytest.mark.parametrize("days", [0, 1, 4])
def test_what_waits_for_a_relay_that_is_away_goes_on_waiting(settings, days):
    without_a_relay(settings)
    message = store()
    tried_for(days)
    jump(**FIVE_DAYS)
    with pytest.raises(TransportUnavailable):
        deliver_due()
    assert state_of(message) == State.QUEUED


def test_what_was_tried_for_five_days_is_given_up_as_ever(settings):
    without_a_relay(settings)
    message = store()
    tried_for(days=5)
    with pytest.raises(TransportUnavailable):
        deliver_due()
    assert state_of(message) == State.FAILED


def test_a_claim_stays_with_a_holder_who_lives_to_renew_it():
    store()
    [message] = OutboxMessage.objects.claim(1)
    jump(**FIVE_DAYS)
    assert OutboxMessage.objects.take_over_expired() == 0
    assert OutboxMessage.objects.renew({message.claim_token}) == 1
    assert OutboxMessage.objects.take_over_expired() == 0
    assert state_of(message) == State.SENDING


def test_a_claim_of_the_dead_is_taken_over_a_lease_later():
    store()
    [message] = OutboxMessage.objects.claim(1)
    jump(**FIVE_DAYS)
    assert OutboxMessage.objects.take_over_expired() == 0
    jump(seconds=61)
    assert OutboxMessage.objects.take_over_expired() == 1
    assert state_of(message) == State.QUEUED


def test_a_process_that_has_seen_a_jump_takes_nothing_over_for_a_lease(monkeypatch):
    """One of less than a lease makes claims look as if they had just ended."""
    clock.measure()
    store()
    [message] = OutboxMessage.objects.claim(1)
    jump(seconds=70)
    worker, due = Worker(), [(State.SENDING, message.next_attempt_at)]
    worker._maintain(due)
    assert state_of(message) == State.SENDING
    monkeypatch.setattr(clock, "_jumped_at", clock._jumped_at - 61)
    worker._maintain(due)
    assert state_of(message) == State.QUEUED


def test_a_process_that_has_seen_a_jump_prunes_nothing_for_a_day(monkeypatch):
    clock.measure()
    jump(**FIVE_DAYS)
    clock.measure()
    pruning = DailyPruning()
    for seconds, is_begun in ((0, False), (86_401, True)):
        monkeypatch.setattr(clock, "_jumped_at", clock._jumped_at - seconds)
        monkeypatch.setattr(pruning, "_look_at", 0.0)
        pruning.begin_if_due()
        assert DailyTask.objects.exists() == is_begun
    pruning.stop()


# Back


def test_what_was_stored_by_a_clock_that_was_ahead_goes_at_once(relay):
    message = store()
    jump(days=-5)
    drain()
    assert state_of(message) == State.SENT
    assert abs(message.created_at - timezone.now()) < timedelta(minutes=5)


def test_what_was_for_later_still_is(relay):
    later = timezone.now() + timedelta(days=1)
    message = store(send_at=later)
    jump(days=-5)
    drain()
    assert state_of(message) == State.QUEUED
    assert message.next_attempt_at == later + timedelta(days=5)


def test_what_was_put_off_by_a_clock_that_was_ahead_is_due(relay):
    message = store()
    jump(days=5)
    relay.script["MAIL"] = "451 4.3.0 Not now"
    drain()
    jump(days=-5)
    relay.script.clear()
    drain()
    assert state_of(message) == State.SENT


def test_what_was_put_off_by_minutes_is_due_for_who_has_seen_the_clock_go_back(relay):
    clock.measure()
    message = store()
    OutboxMessage.objects.update(queued_at=timezone.now() - timedelta(hours=1))
    relay.script["MAIL"] = "451 4.3.0 Not now"
    drain()
    relay.script.clear()
    keeper = Timekeeper()
    assert keeper.look() == 0
    jump(minutes=-10)
    assert keeper.look() == 1
    deliver_due()
    assert state_of(message) == State.SENT


def test_a_claim_by_a_clock_that_was_ahead_ends_a_lease_later():
    store()
    [message] = OutboxMessage.objects.claim(1)
    jump(days=-5)
    assert OutboxMessage.objects.take_over_expired() == 0
    jump(seconds=61)
    assert OutboxMessage.objects.take_over_expired() == 1
    assert state_of(message) == State.QUEUED


def test_the_rate_goes_on_from_now(relay, settings):
    settings.MAIL_RATE = 100
    store()
    drain()
    jump(days=-5)
    message = store()
    drain()
    assert state_of(message) == State.SENT
    assert Relay.objects.get().free_at < timezone.now() + timedelta(minutes=1)


def test_the_connections_of_the_dead_come_free(relay, settings):
    settings.MAIL_MAX_CONNECTIONS = 1
    assert ConnectionSlot.objects.take(relay_name(), 1, "0" * 32, "somebody dead")
    jump(days=-5)
    message = store()
    drain()
    assert state_of(message) == State.SENT


def test_the_budget_counts_nothing_of_the_future(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    store()
    jump(days=-5)
    forget()  # as a new process
    clock.measure()
    assert state_of(store()) == State.QUEUED
    assert state_of(store()) == State.HELD


def test_a_sign_of_life_of_the_future_is_none():
    Process.objects.heartbeat("web-1 42", 4)
    jump(days=-5)
    assert not Process.objects.alive().exists()


def test_the_daily_pruning_does_not_wait_for_five_days():
    assert DailyTask.objects.take("prune")
    jump(days=-5)
    assert DailyTask.objects.take("prune")
    assert not DailyTask.objects.take("prune")
