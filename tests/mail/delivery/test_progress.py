"""A process that gives signs of life and delivers nothing is noticed; one that waits in order is not."""

import threading
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import OperationalError
from django.template.loader import render_to_string
from django.utils import timezone

from flasky.mail.checks import check_delivery
from flasky.mail.delivery import progress as progress_module
from flasky.mail.delivery import worker as worker_module
from flasky.mail.delivery.progress import Progress
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import ConnectionSlot, Process, RelayOutage
from flasky.mail.runtime.identity import this_process
from flasky.mail.status.overview import overview
from tests.conftest import running, use_relay, wait_until
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

SIGNS = 25  # after which a worker that was stuck would have been noticed


@pytest.fixture
def quick(settings, monkeypatch):
    settings.MAIL_SWEEP_INTERVAL, settings.MAIL_OVERDUE, settings.MAIL_TIMEOUT = 0.1, 2, 0.03
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(worker_module, "LONGEST_PAUSE", 0.1)


@pytest.fixture
def signs(monkeypatch):
    """Return the seconds for which the worker was stuck at each sign of life."""
    given, beat = [], Process.objects.heartbeat

    def note(name, threads, stuck_for, *more):
        beat(name, threads, stuck_for, *more)
        given.append(stuck_for)

    monkeypatch.setattr(Process.objects, "heartbeat", note)
    return given


def store(count=1):
    for _ in range(count):
        EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]).send()


# Who is stuck


def test_a_worker_whose_threads_hang_is_noticed_until_they_go_on(quick, monkeypatch):
    go_on = threading.Event()

    def hang(stop, delivered):
        assert go_on.wait(60)

    monkeypatch.setattr(worker_module, "deliver_due", hang)
    store(4)
    with running(Worker()):
        wait_until(Process.objects.stuck().exists)
        go_on.set()
        wait_until(lambda: not Process.objects.stuck().exists())


def test_a_worker_whose_threads_always_fail_is_noticed(quick, monkeypatch):
    def fail(stop, delivered):
        stop()
        raise RuntimeError("always the same")

    monkeypatch.setattr(worker_module, "deliver_due", fail)
    store()
    with running(Worker()):
        wait_until(Process.objects.stuck().exists)


def test_a_worker_that_can_start_no_thread_is_noticed(quick, monkeypatch):
    start = threading.Thread.start

    def start_no_other(thread):
        if thread.name.startswith("mail_"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_no_other)
    store()
    with running(Worker()):
        wait_until(Process.objects.stuck().exists)


def test_a_worker_that_counts_threads_as_busy_that_are_not_is_noticed(quick):
    store()
    worker = Worker()
    worker._busy = worker._threads
    with running(worker):
        wait_until(Process.objects.stuck().exists)


# Who is not


def test_a_worker_without_mail_is_not(quick, signs):
    with running(Worker()):
        wait_until(lambda: len(signs) > SIGNS)
    assert not any(signs)


def test_a_worker_that_waits_for_its_turn_is_not(quick, signs, relay, settings):
    settings.MAIL_RATE = 0.01
    store(3)
    with running(Worker()):
        wait_until(lambda: len(signs) > SIGNS)
    assert not any(signs)


def test_a_worker_that_waits_for_a_connection_that_others_have_is_not(quick, signs, relay, settings):
    settings.MAIL_MAX_CONNECTIONS = 1
    assert ConnectionSlot.objects.take(f"127.0.0.1:{relay.port}", 1, "0" * 32, "another")
    store()
    with running(Worker()):
        wait_until(lambda: len(signs) > SIGNS)
    assert not any(signs)


def test_a_worker_whose_relay_is_away_is_not(quick, signs, settings):
    with SmtpServer() as gone:
        use_relay(settings, gone)
    settings.MAIL_TIMEOUT = 0.03
    store()
    with running(Worker()):
        wait_until(lambda: len(signs) > SIGNS)
        assert RelayOutage.objects.exists()
    assert not any(signs)


def test_a_worker_that_comes_back_after_the_database_is_not(quick, signs, relay, monkeypatch):
    unfinished, failures = worker_module.OutboxMessage.objects.unfinished, [OperationalError("it is away")] * SIGNS
    monkeypatch.setattr(worker_module, "PAUSE_AFTER_ERROR", 0.1)

    def fail_at_first():
        if failures:
            raise failures.pop()
        return unfinished()

    monkeypatch.setattr(worker_module.OutboxMessage.objects, "unfinished", fail_at_first)
    store()
    with running(Worker()):
        wait_until(lambda: len(signs) > 2)
    assert not any(signs)


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def test_an_attempt_may_take_as_long_as_the_relay_may_take_for_its_replies(clock, settings):
    settings.MAIL_OVERDUE, settings.MAIL_TIMEOUT = 300, 60
    progress = Progress()
    clock[0] += 600
    assert progress.stuck_for() == 0
    clock[0] += 1
    assert progress.stuck_for() == 601
    progress.heard()
    assert progress.stuck_for() == 0


def test_a_thread_that_has_failed_and_then_waits_in_order_gets_on(clock, settings):
    progress = Progress()
    progress.failed()
    for _ in range(50):
        clock[0] += 10
        progress.heard()
    assert progress.stuck_for() == 0


# Who is told


@pytest.fixture
def stuck():
    def sign(name):
        Process.objects.heartbeat(name, 4, 400)

    return sign


def test_readyz_takes_away_the_process_that_is_stuck_itself(client, stuck):
    stuck(this_process())
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.content == (
        b"This process has mail to deliver, and its threads get nowhere. Restart it; its log may say why.\n"
    )


def test_readyz_of_the_others_only_tells_that_one_is_stuck_and_names_no_host(client, stuck):
    stuck("secret-host 12")
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.content == b"ok\n1 other process gets nowhere with the mail; the admin's outbox says which.\n"


def of_delivery():
    """Return what the check says of it; MariaDB's own limits are none of it."""
    return [found for found in check_delivery(databases=["default"]) if found.id == "flasky.W006"]


def test_the_check_names_the_process_that_is_stuck(stuck):
    stuck("host 12")
    [warning] = of_delivery()
    assert warning.msg.startswith(
        "host 12 gives signs of life and has mail to deliver, but its threads have got nowhere"
    )
    assert warning.hint == "Restart it, and look at its log."


def test_the_strip_names_the_process_that_is_stuck(stuck):
    stuck("<host> 12")
    html = render_to_string("flasky_mail/web/strip.html", {"overview": overview()})
    assert "&lt;host&gt; 12 gives signs of life and has mail to deliver, but" in html
    assert "Restart it, and look at its log." in html


def test_nobody_is_called_stuck_while_the_relay_is_away(client, stuck):
    stuck(this_process())
    RelayOutage.objects.note("mail.test:25", "away", timezone.now() + timedelta(seconds=30))
    assert client.get("/readyz").status_code == 200
    assert of_delivery() == []
    assert overview().stuck == []


def test_one_that_is_silent_is_called_so_and_not_stuck(stuck, settings):
    stuck("host 12")
    settings.MAIL_SWEEP_INTERVAL = -1
    assert not Process.objects.stuck().exists()
    assert Process.objects.alive_and_missing() == ([], [Process.objects.get()])
