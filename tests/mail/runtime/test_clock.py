"""flasky.mail.runtime.clock: the database's time, whatever the host's clock says."""

import time
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest
from django.core.mail import EmailMessage
from django.db import connection

from flasky.mail.models import OutboxMessage
from flasky.mail.runtime import clock
from tests.clocks import set_clock

pytestmark = pytest.mark.django_db

NEAR = timedelta(seconds=2)


@pytest.fixture
def the_database(monkeypatch):
    """Give the database a clock of its own, which a test may set to be so many seconds from this host's."""
    clock.forget()
    set_clock(monkeypatch, 0)
    return partial(set_clock, monkeypatch)


@pytest.fixture
def the_host(monkeypatch):
    """Return a function that sets this host's clock."""
    real = time.time
    return lambda seconds: monkeypatch.setattr(clock.time, "time", lambda: real() + seconds)


def store():
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


def off_by(moment):
    return moment - datetime.now(timezone.utc)


def test_it_is_the_databases(the_database):
    the_database(86_400)
    clock.measure()
    assert abs(off_by(clock.now()) - timedelta(days=1)) < NEAR


def test_setting_the_hosts_clock_changes_nothing(the_database, the_host):
    clock.measure()
    before = clock.now()
    the_host(5 * 86_400)
    assert abs(clock.now() - before) < NEAR


def test_the_real_database_says_what_it_writes():
    clock.forget()
    clock.measure()
    assert abs(off_by(clock.now())) < NEAR


@pytest.mark.parametrize("days", [-5, 5])
def test_what_a_host_with_a_wrong_clock_stores_is_due(the_database, days):
    the_database(days * 86_400)
    message = store()
    assert abs(off_by(message.created_at) - timedelta(days=days)) < NEAR
    assert OutboxMessage.objects.due().get() == message


def test_it_is_known_how_far_the_hosts_is_ahead(the_database):
    the_database(-12)
    clock.measure()
    assert clock.ahead() == pytest.approx(12, abs=1)


def test_only_the_first_of_many_mails_asks(the_database, django_assert_num_queries):
    store()
    with django_assert_num_queries(2):  # by this test, to read it back
        store()


def test_who_has_slept_asks_again(the_database, the_host, django_assert_num_queries):
    clock.renew()
    the_host(3)
    with django_assert_num_queries(1):
        clock.renew()


def test_who_has_not_asked_for_a_minute_asks_again(the_database, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(clock, "TRUST", 60)
    clock.renew()
    monkeypatch.setattr(clock, "_last", clock._last._replace(monotonic=clock._last.monotonic - 61))
    with django_assert_num_queries(1):
        clock.renew()


@pytest.mark.parametrize("seconds", [-86_400, -6, 6, 5 * 86_400])
def test_a_jump_of_the_databases_clock_is_noticed_and_told_once(the_database, caplog, seconds):
    assert clock.measure() == 0
    assert clock.seconds_since_jump() == float("inf")
    the_database(seconds)
    assert clock.measure() == pytest.approx(seconds, abs=1)
    assert clock.measure() == 0
    assert clock.seconds_since_jump() < 60
    assert [record.getMessage().count("jumped") for record in caplog.records] == [1]


def test_a_little_is_no_jump(the_database, caplog):
    clock.measure()
    the_database(4)
    assert clock.measure() == 0
    assert not caplog.records


def test_the_clock_of_a_host_that_is_the_databases_too_may_jump(the_host):
    if connection.vendor != "sqlite":
        pytest.skip("It has a clock of its own.")
    clock.forget()
    clock.measure()
    the_host(5 * 86_400)
    assert clock.measure() == pytest.approx(5 * 86_400, abs=1)
    assert clock.ahead() == 0
