"""flasky.mail.limits.rate: messages per second, shared by all who deliver."""

from datetime import datetime, timedelta, timezone

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend as LocmemBackend
from django.db import connection
from django.db.models.functions import Now
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.conf import conf
from flasky.mail.db import connections
from flasky.mail.delivery import deliver_due
from flasky.mail.limits import rate
from flasky.mail.limits.rate import AHEAD, LATE, Permits, plan, reserve
from flasky.mail.models import OutboxMessage, Relay, State
from tests.actors import run_at_once, start_python
from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
SERVER = "relay.test:25"


def store(count, priority="normal"):
    for _ in range(count):
        email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
        email.priority = priority
        email.send()


def go_on():
    return False


# The arithmetic


@pytest.mark.parametrize(("ago", "first"), [(5, 0), (0, 0), (-5, 5)])
def test_the_first_moment_is_now_or_when_the_others_are_used_up(ago, first):
    assert plan(NOW - timedelta(seconds=ago), NOW, 4, rate=2) == (first, NOW + timedelta(seconds=first + 2))


class Deliverers:
    """Several who reserve and use permits in any order; each of them can be held up for any time."""

    def __init__(self, count, per_second):
        self.rate, self.now, self.free_at = per_second, 0.0, NOW
        self.permits = [None] * count
        self.left_at = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

    def act(self, who, count, idle):
        self.now += idle
        permits = self.permits[who]
        if permits is None:
            now = NOW + timedelta(seconds=self.now)
            first, end = plan(self.free_at, now, count, self.rate)
            if first <= AHEAD:
                self.permits[who] = Permits(count, SERVER, 1 / self.rate, end, self.now + first)
                self.free_at = end
        elif permits.wait(go_on):
            self.left_at.append(self.now)
        else:
            self.permits[who] = None


@given(
    st.sampled_from([0.5, 3, 20]),
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 20), st.sampled_from([0, 0, 0, 0.01, 0.3, 2.5])), max_size=150
    ),
)
def test_no_window_has_more_than_the_rate_and_what_is_a_second_late(per_second, acts):
    world = Deliverers(4, per_second)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate, "time", world)
        patch.setattr(connections, "time", world)
        patch.setattr(connections, "release_connection", lambda: None)
        for act in acts:
            world.act(*act)
    assert_no_burst(world.left_at, per_second, extra=1)


def assert_no_burst(left_at, per_second, extra):
    for first, begin in enumerate(left_at):
        for last, end in enumerate(left_at[first:], first):
            assert last - first + 1 <= per_second * (end - begin + LATE) + extra + 1e-6


@given(st.integers(1, 100), st.floats(0.01, 1000))
def test_what_is_reserved_next_to_each_other_is_as_far_apart_as_the_rate_says(count, per_second):
    _, end = plan(NOW, NOW, count, per_second)
    assert (end - NOW).total_seconds() == pytest.approx(count / per_second, abs=1e-6)


# The row that all share


@pytest.fixture
def limited(settings, transactional_db):
    settings.MAIL_RATE = 10


def test_without_a_limit_there_is_no_row_and_no_query(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        permits = reserve(SERVER, 50, go_on)
    assert permits.count == 50
    assert all(permits.wait(go_on) for _ in range(100))


@pytest.mark.parametrize(("per_second", "count"), [(0.5, 1), (1, 1), (10, 10), (1000, 50)])
def test_a_reservation_is_for_a_second_or_one_message(per_second, count, settings, transactional_db):
    settings.MAIL_RATE = per_second
    assert reserve(SERVER, 50, go_on).count == count


def test_a_reservation_moves_what_is_free_for_the_others(limited):
    before, _ = Relay.objects.free_at(SERVER)
    reserve(SERVER, 5, go_on)
    after, now = Relay.objects.free_at(SERVER)
    assert after >= before + timedelta(seconds=0.5)
    assert after <= now + timedelta(seconds=0.5)


def test_what_was_not_used_is_given_back(limited):
    permits = reserve(SERVER, 5, go_on)
    end, _ = Relay.objects.free_at(SERVER)
    permits.give_back()
    assert Relay.objects.free_at(SERVER)[0] == end - timedelta(seconds=0.4)
    permits.give_back()
    assert Relay.objects.free_at(SERVER)[0] == end - timedelta(seconds=0.4), "only once"


def test_nothing_is_given_back_when_somebody_has_reserved_what_comes_after_it(limited):
    first, _ = reserve(SERVER, 2, go_on), reserve(SERVER, 2, go_on)
    end, _ = Relay.objects.free_at(SERVER)
    first.give_back()
    assert Relay.objects.free_at(SERVER)[0] == end


def test_of_two_who_saw_the_same_moment_free_one_gets_it(limited):
    free_at, _ = Relay.objects.free_at(SERVER)
    assert Relay.objects.reserve(SERVER, free_at, free_at + timedelta(seconds=1))
    assert not Relay.objects.reserve(SERVER, free_at, free_at + timedelta(seconds=1))


def test_a_stop_ends_the_wait_and_nobody_waits_with_a_claim_or_a_connection(limited):
    Relay.objects.create(server=conf.MAIL_TRANSPORT, free_at=Now() + timedelta(seconds=50))
    free_at = Relay.objects.get().free_at
    store(3)
    looks = []

    def stop():
        assert Relay.objects.get().free_at == free_at, "nobody reserves what is far away"
        looks.append(OutboxMessage.objects.filter(state=State.SENDING).exists())
        connections.release_connection()
        return len(looks) > 4

    assert deliver_due(stop) == {}
    assert len(looks) > 4
    assert not any(looks)


def test_a_moment_that_was_missed_by_more_than_a_second_is_lost(db, monkeypatch):
    world = Deliverers(0, 10)
    monkeypatch.setattr(rate, "time", world)
    monkeypatch.setattr(connections, "time", world)
    permits = Permits(3, SERVER, 0.1, NOW, 0.0)
    assert permits.wait(go_on)
    world.now = 0.1 + LATE
    assert permits.wait(go_on)
    world.now = 0.3 + LATE
    assert not permits.wait(go_on)


def test_whoever_missed_a_moment_delivers_at_another(limited, settings, monkeypatch):
    settings.MAIL_WORKERS = 1
    store(3)
    monkeypatch.setattr(rate, "LATE", 0.05)
    slow = iter([0.3, 0, 0])
    monkeypatch.setattr(LocmemBackend, "send_messages", lambda backend, emails: connections.time.sleep(next(slow)) or 1)
    assert deliver_due() == {State.SENT: 3}


def test_no_database_connection_is_held_while_waiting(limited, monkeypatch):
    if connection.vendor == "sqlite":
        pytest.skip("a SQLite file is no server's resource")
    held = []
    monkeypatch.setattr(connections.time, "sleep", lambda seconds: held.append(connection.connection))
    Relay.objects.create(server=SERVER, free_at=Now() + timedelta(hours=1))
    reserve(SERVER, 1, lambda: len(held) > 3)
    assert not any(held)


def test_who_waited_claims_what_is_most_urgent_then(limited, relay, settings, monkeypatch):
    settings.MAIL_RATE = 1
    store(1)
    Relay.objects.create(server=f"127.0.0.1:{relay.port}", free_at=Now() + timedelta(seconds=0.2))

    def stop():
        if not OutboxMessage.objects.filter(priority="urgent").exists() and Relay.objects.get().free_at > later:
            store(1, "urgent")
        return len(relay.mails) > 0

    later = Relay.objects.get().free_at
    deliver_due(stop)
    assert OutboxMessage.objects.get(state=State.SENT).priority == "urgent"


DELIVER = """
import django, sys
django.setup()
from flasky.mail.delivery import deliver_due
from threading import Thread
print("ready", flush=True)
sys.stdin.readline()
threads = [Thread(target=deliver_due) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("done", flush=True)
"""


def test_two_processes_with_two_connections_each_stay_below_the_rate_together(settings, transactional_db):
    with ScriptedRelay() as relay:
        use_relay(settings, relay)
        store(60)
        variables = {"MAIL_TRANSPORT": "smtp", "MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(relay.port)}
        run_at_once([start_python(DELIVER, MAIL_RATE="20", MAIL_WORKERS="2", **variables) for _ in range(2)])
    assert len(set(relay.accepted)) == 60
    assert_no_burst(relay.accepted_at, 20, extra=4)
