"""flasky.mail.limits.connections: connections to a relay, shared by all who deliver."""

import signal
from datetime import timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.db.models.functions import Now

from flasky.mail import transports
from flasky.mail.delivery import deliver_due, engine
from flasky.mail.delivery.worker import Worker
from flasky.mail.limits.connections import NoSlot, allow_fewer, leave, renew, take
from flasky.mail.models import CALM, SAME_CROWD, ConnectionSlot, OutboxMessage, Relay, RelayOutage, State
from flasky.mail.transports import TransportUnavailable, borrow, close_kept
from tests.actors import run_at_once, start_python
from tests.conftest import running, use_relay, wait_until
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)

SERVER = "relay.test:25"


@pytest.fixture(autouse=True)
def limited(settings, monkeypatch):
    settings.MAIL_MAX_CONNECTIONS = 4
    monkeypatch.setattr(engine, "SLOT_PAUSE", 0.02)
    yield
    close_kept()


@pytest.fixture
def relay(settings):
    with ScriptedRelay() as relay:
        use_relay(settings, relay)
        relay.name = f"127.0.0.1:{relay.port}"
        yield relay


def store(count=1):
    for _ in range(count):
        EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]).send()


def take_all(server=SERVER):
    taken = []
    with pytest.raises(NoSlot):
        while True:
            taken.append(take(server))
    return taken


def expire_slots():
    assert ConnectionSlot.objects.filter(lease_expires_at__gte=Now()).update(
        lease_expires_at=Now() - timedelta(seconds=1)
    )


def go_back(seconds):
    Relay.objects.update(allowed_since=Now() - timedelta(seconds=seconds))


# Slots


def test_without_a_limit_there_is_no_slot_and_no_query(settings, django_assert_num_queries):
    settings.MAIL_MAX_CONNECTIONS = 0
    with django_assert_num_queries(0):
        assert take(SERVER) is None
        assert not allow_fewer(SERVER, "421")


def test_there_are_as_many_slots_as_the_setting_says_for_each_relay():
    assert len(take_all()) == 4
    assert len(take_all("another.test:25")) == 4


def test_a_slot_that_is_left_is_free():
    taken = take_all()
    leave(taken[1])
    assert take(SERVER)
    with pytest.raises(NoSlot):
        take(SERVER)


def test_the_slots_of_the_dead_come_free_and_those_of_the_living_do_not():
    dead, alive = take(SERVER), take(SERVER)
    expire_slots()
    renew({alive})
    assert ConnectionSlot.objects.in_use(SERVER) == 1
    assert len(take_all()) == 3
    renew({dead, alive})
    assert (dead.must_leave, alive.must_leave) == (True, False)


def test_of_two_who_saw_the_same_slot_free_one_gets_it():
    leave(take(SERVER))
    [key] = ConnectionSlot.objects.filter(number=0).values_list("pk", flat=True)
    slot = ConnectionSlot.objects.all()
    assert [slot._take_one([key], token, "host 1") for token in (key_of(1), key_of(2))] == [True, False]


def key_of(number):
    return UUID(int=number)


# How many


def test_a_refusal_halves_what_was_in_use_and_says_so(caplog):
    take(SERVER), take(SERVER), take(SERVER)  # and the one that was refused
    assert allow_fewer(SERVER, "relay.test:25 answered 421.")
    assert "421. At most 2 connections from now on, instead of 4." in caplog.text
    assert Relay.objects.connections(SERVER, 4) == 2
    with pytest.raises(NoSlot):
        take(SERVER)


def test_the_same_crowd_counts_once_and_the_next_one_again():
    take_all()
    assert [allow_fewer(SERVER, "421") for _ in range(3)] == [True] * 3
    assert Relay.objects.connections(SERVER, 4) == 2
    go_back(SAME_CROWD + 1)
    assert allow_fewer(SERVER, "421")
    assert Relay.objects.connections(SERVER, 4) == 1


def test_one_connection_is_always_allowed():
    allow_fewer(SERVER, "421")
    go_back(SAME_CROWD + 1)
    assert not allow_fewer(SERVER, "421")
    assert take(SERVER)


def test_those_who_sit_above_what_is_allowed_must_leave():
    taken = take_all()
    allow_fewer(SERVER, "421")
    renew({*taken})
    assert [slot.must_leave for slot in taken] == [False, False, True, True]


def test_a_while_of_success_allows_one_more_up_to_the_limit():
    slot = take_all()[0]
    allow_fewer(SERVER, "421")
    allowed = []
    for since in (CALM - 20, CALM + 1, CALM + 1, CALM + 1):
        go_back(since)
        slot.has_delivered = True
        renew({slot})
        allowed.append(Relay.objects.connections(SERVER, 4))
    assert allowed == [2, 3, 4, 4]
    assert Relay.objects.get().allowed == 4


def test_a_while_without_mail_allows_no_more():
    slot = take_all()[0]
    allow_fewer(SERVER, "421")
    go_back(CALM + 1)
    renew({slot})
    assert Relay.objects.connections(SERVER, 4) == 2


# Connections


def test_a_kept_connection_keeps_its_slot_until_it_is_closed(relay):
    with borrow():
        pass
    assert ConnectionSlot.objects.in_use(relay.name) == 1
    with borrow():
        assert ConnectionSlot.objects.in_use(relay.name) == 1
    close_kept()
    assert ConnectionSlot.objects.in_use(relay.name) == 0


def test_an_idle_connection_gives_its_slot_to_others_after_seconds(relay):
    with borrow() as transport:
        pass
    transport.idle_since -= 6
    transports._renew_slots({transport.slot})
    assert ConnectionSlot.objects.in_use(relay.name) == 0
    assert transport.backend.connection is None


def test_a_slot_is_kept_however_long_the_connection_is_in_use(relay, settings):
    settings.MAIL_LEASE = 0.3
    with borrow():
        [first] = ConnectionSlot.objects.filter(number=0).values_list("lease_expires_at", flat=True)
        wait_until(ConnectionSlot.objects.filter(number=0, lease_expires_at__gt=first + timedelta(seconds=1)).exists)


def test_a_person_who_tests_the_relay_needs_no_slot(relay):
    take_all(relay.name)
    call_command("sendtestemail", "ann@example.com", stdout=StringIO())
    assert len(relay.accepted) == 2


def test_a_connection_that_must_leave_does_so_after_its_claim_and_another_goes_on(relay, settings):
    settings.MAIL_WORKERS = 1
    store(5)
    leaving = iter([True])

    def dismiss():
        for slot in set(transports._slot_heartbeat._held):
            slot.must_leave = next(leaving, False)

    assert deliver_due(delivered=dismiss) == {State.SENT: 5}
    assert relay.sessions == 2


def test_a_connection_that_must_leave_is_not_kept(relay):
    with borrow() as transport:
        transport.slot.must_leave = True
    assert ConnectionSlot.objects.in_use(relay.name) == 0


@pytest.mark.parametrize("script", [{"connect": "drop"}, {"EHLO": "drop"}])
def test_a_connection_that_does_not_come_about_leaves_no_slot(relay, script):
    relay.script = script
    with pytest.raises(TransportUnavailable), borrow():
        pass
    assert ConnectionSlot.objects.in_use(relay.name) == 0


# Delivery


def test_without_a_slot_nothing_is_claimed_and_the_relay_has_no_outage(relay):
    store()
    take_all(relay.name)
    looks = []

    def stop():
        looks.append(OutboxMessage.objects.filter(state=State.QUEUED).count())
        return len(looks) > 5

    assert deliver_due(stop) == {}
    assert set(looks) == {1}
    assert relay.sessions == 0
    assert not RelayOutage.objects.exists()


def test_who_waits_for_a_slot_goes_on_when_one_comes_free(relay):
    store(5)
    taken = take_all(relay.name)
    with running(Worker()):
        wait_until(lambda: any(OutboxMessage.objects.due()))
        leave(taken[0])
        wait_until(lambda: len(relay.accepted) == 5)
    assert relay.most_open == 1


@pytest.mark.parametrize("moment", ["connect", "MAIL"])
def test_a_421_costs_connections_and_neither_an_attempt_nor_an_outage(relay, moment, caplog):
    store(3)
    relay.script = {moment: ["421 4.7.0 Too many | drop"]}
    assert deliver_due() == {State.SENT: 3}
    assert set(OutboxMessage.objects.values_list("attempt_count", flat=True)) == {1}
    assert "421 4.7.0 Too many" in caplog.text
    assert Relay.objects.get().allowed == 1


def test_a_421_to_the_last_connection_is_an_outage(relay):
    store()
    relay.script = {"connect": "421 4.7.0 Too many | drop"}
    Relay.objects.create(server=relay.name, allowed=1)
    with pytest.raises(TransportUnavailable, match="421"):
        deliver_due()


DELIVER = """
import django, sys
django.setup()
from flasky.mail.delivery import engine as delivery
from flasky.mail.transports import close_kept
from threading import Thread
delivery.SLOT_PAUSE = 0.05
print("ready", flush=True)
sys.stdin.readline()
threads = [Thread(target=delivery.deliver_due) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
close_kept()
print("done", flush=True)
"""


def start(relay, limit):
    variables = {"MAIL_TRANSPORT": "smtp", "MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(relay.port)}
    return start_python(DELIVER, MAIL_MAX_CONNECTIONS=str(limit), MAIL_WORKERS="3", **variables)


def test_two_processes_with_three_threads_each_open_no_more_connections_than_allowed(relay):
    store(60)
    run_at_once([start(relay, 2) for _ in range(2)])
    assert len(set(relay.accepted)) == len(relay.accepted) == 60
    assert relay.most_open <= 2
    assert ConnectionSlot.objects.in_use(relay.name) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes cannot be killed on this system")
def test_the_slots_of_a_killed_process_come_free_with_their_leases(relay, settings):
    settings.MAIL_MAX_CONNECTIONS = 3
    store(9)
    relay.script = {"CONTENT": "silence"}
    process = start(relay, 3)
    try:
        process.stdin.write("now\n")
        wait_until(lambda: relay.open == 3)
    finally:
        process.kill()
        process.communicate()
    with pytest.raises(NoSlot):
        take(relay.name)
    expire_slots()
    assert len(take_all(relay.name)) == 3
