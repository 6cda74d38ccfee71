"""flasky.mail.worker: the threads of a serving process, against a real relay."""

import threading

import pytest
from django.core.mail import EmailMessage
from django.db import connection

from flasky.mail import worker as worker_module
from flasky.mail.models import OutboxMessage, State
from flasky.mail.worker import Worker
from tests.conftest import running, use_relay, wait_until
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


def store(subject="Hi"):
    email = EmailMessage(subject, "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    return email.outbox_message


def test_the_backlog_is_delivered_without_a_wake(relay):
    messages = [store() for _ in range(5)]
    with running(Worker()):
        assert {message.wait(20) for message in messages} == {State.SENT}


def test_a_wake_delivers_what_was_stored_since(relay):
    with running(Worker()) as worker:
        message = store()
        worker.wake()
        assert message.wait(20) == State.SENT


def test_the_sweep_finds_what_nobody_woke_it_for(relay, settings):
    settings.MAIL_SWEEP_INTERVAL = 0.2
    with running(Worker()):
        assert store().wait(20) == State.SENT


def test_the_sweep_takes_up_what_a_dead_process_had_claimed(relay):
    message = store()
    [claimed] = OutboxMessage.objects.claim(1)
    OutboxMessage.objects.update(lease_expires_at=claimed.created_at)
    with running(Worker()):
        assert message.wait(20) == State.SENT
    message.refresh_from_db()
    assert message.possible_duplicate


def test_a_message_for_later_is_delivered_when_its_time_comes(relay, monkeypatch):
    monkeypatch.setattr("flasky.mail.delivery.RETRY_PAUSES", (0.2,))
    relay.replies = {"RCPT": ["451 4.3.0 Not yet", "451 4.3.0 Not yet"]}
    message = store()
    with running(Worker()):
        assert message.wait(20) == State.SENT
    assert message.attempt_count == 3


def test_as_many_mails_are_on_the_wire_as_there_are_workers_and_no_more(relay, settings):
    settings.MAIL_WORKERS = 2
    relay.gate.clear()
    for _ in range(6):
        store()
    with running(Worker()) as worker:
        assert relay.data_seen.wait(20)
        worker.wake()
        relay.wait_until_in_data(2)
        assert OutboxMessage.objects.filter(state=State.SENDING).count() == 2
        assert sum(thread.name.startswith("mail_") for thread in threading.enumerate()) == 2
        relay.gate.set()
        relay.wait_for(6)
    assert relay.most_in_data == 2


def test_stopping_finishes_what_is_on_the_wire_and_claims_nothing_more(relay, settings):
    settings.MAIL_WORKERS = 1
    first, second = store(), store()
    relay.gate.clear()
    worker = Worker()
    worker.start()
    assert relay.data_seen.wait(20)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    assert worker._stopping.wait(20)
    relay.gate.set()
    stopping.join()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.SENT, State.QUEUED)


def test_a_relay_that_is_down_is_probed_until_it_is_back(settings, monkeypatch, caplog):
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    with SmtpServer() as gone:
        use_relay(settings, gone)
    message = store()
    with running(Worker()) as worker:
        wait_until(lambda: "connection refused" in worker._trouble)
        assert message.wait(0) == State.QUEUED
        with SmtpServer() as back:
            settings.EMAIL_PORT = back.port
            assert message.wait(20) == State.SENT
    assert message.attempt_count == 1
    assert caplog.text.count("connection refused") == 1
    assert "takes mail again" in caplog.text


def test_while_the_relay_is_down_one_thread_probes(settings, smtp_server):
    use_relay(settings, smtp_server)
    worker = Worker()
    worker._trouble, worker._probe_at = "down", 0.0
    assert worker._free_threads() == 1
    worker._busy = 1
    assert worker._free_threads() == 0
    worker.stop()


def test_pauses_between_probes_grow_up_to_a_minute():
    worker = Worker()
    pauses = []
    for _ in range(9):
        worker._note_trouble("down")
        pauses.append(worker._pause)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    worker.stop()


def test_a_database_that_is_away_for_a_while_does_not_end_the_thread(relay, settings, monkeypatch, caplog):
    settings.MAIL_SWEEP_INTERVAL = 0.05
    failures = ["first", "second"]
    original = worker_module.OutboxMessage.objects.release_expired

    def fail_twice():
        if failures:
            raise RuntimeError(failures.pop())
        return original()

    monkeypatch.setattr(worker_module.OutboxMessage.objects, "release_expired", fail_twice)
    with running(Worker()):
        assert store().wait(20) == State.SENT
    assert "outbox could not be read" in caplog.text


def test_a_failing_delivery_does_not_end_the_pool(relay, settings, monkeypatch, caplog):
    settings.MAIL_SWEEP_INTERVAL = 0.05
    failures = ["once"]
    original = worker_module.deliver_due

    def fail_once(stop):
        if failures:
            raise RuntimeError(failures.pop())
        return original(stop)

    monkeypatch.setattr(worker_module, "deliver_due", fail_once)
    with running(Worker()):
        assert store().wait(20) == State.SENT
    assert "delivering thread failed" in caplog.text


def test_the_threads_leave_no_database_connection_open(relay):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL lists its connections")
    with running(Worker()):
        store().wait(20)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            assert cursor.fetchone() == (1,)
