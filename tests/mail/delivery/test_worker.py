"""flasky.mail.delivery.worker: the threads of a serving process, against a real relay."""

import contextlib
import sqlite3
import threading
import time
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import DatabaseError, OperationalError, connection
from django.utils import timezone

from flasky.mail.delivery import worker as worker_module
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import OutboxMessage, Process, RelayOutage, State
from flasky.mail.runtime import clock
from flasky.mail.transports import new_transport
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
        assert {message.wait(60) for message in messages} == {State.SENT}


def test_a_wake_delivers_what_was_stored_since(relay):
    with running(Worker()) as worker:
        message = store()
        worker.wake()
        assert message.wait(60) == State.SENT


def test_the_sweep_finds_what_nobody_woke_it_for(relay, settings):
    settings.MAIL_SWEEP_INTERVAL = 0.2
    with running(Worker()):
        assert store().wait(60) == State.SENT


def test_the_sweep_takes_up_what_a_dead_process_had_claimed(relay):
    message = store()
    [claimed] = OutboxMessage.objects.claim(1)
    OutboxMessage.objects.update(lease_expires_at=claimed.created_at)
    with running(Worker()):
        assert message.wait(60) == State.SENT
    message.refresh_from_db()
    assert message.possible_duplicate


def test_after_an_outage_those_who_have_kept_a_reply_come_before_those_who_would_send_again(monkeypatch):
    """Their leases may have run out meanwhile."""
    message, now = store(), [1000.0]
    [claimed] = OutboxMessage.objects.claim(1)
    OutboxMessage.objects.update(lease_expires_at=claimed.created_at)
    monkeypatch.setattr(worker_module.time, "monotonic", lambda: now[0])
    clock.forget()
    worker = Worker()
    worker._note_database_outage(OperationalError("it is away"))
    for seconds, state in ((4, State.SENDING), (1, State.QUEUED)):
        now[0] += seconds
        worker._maintain([(State.SENDING, claimed.next_attempt_at)])
        assert message.wait(0) == state
    worker.stop()


def test_a_sign_of_life_that_cannot_be_written_keeps_no_mail_from_leaving(relay, settings, monkeypatch, caplog):
    settings.MAIL_SWEEP_INTERVAL = 0.05
    signs = []

    def fail(*arguments):
        signs.append(arguments)
        raise DatabaseError("no such column")

    monkeypatch.setattr(Process.objects, "heartbeat", fail)
    with running(Worker()):
        assert store().wait(60) == State.SENT
        wait_until(lambda: len(signs) > 3)
    assert caplog.text.count("No sign of life could be written") == 1


def test_a_message_for_later_is_delivered_when_its_time_comes(relay, monkeypatch):
    monkeypatch.setattr("flasky.mail.delivery.retries.RETRY_PAUSES", (0.2,))
    relay.replies = {"RCPT": ["451 4.3.0 Not yet", "451 4.3.0 Not yet"]}
    message = store()
    with running(Worker()):
        assert message.wait(60) == State.SENT
    assert message.attempt_count == 3


def test_a_mail_for_later_leaves_in_time_and_not_before(relay, settings):
    settings.MAIL_SWEEP_INTERVAL = 600
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    email.send_at = timezone.now() + timedelta(seconds=0.5)
    email.send()
    with running(Worker()):
        assert email.outbox_message.wait(60) == State.SENT
    assert email.outbox_message.attempts.get().started_at >= email.send_at


def test_as_many_mails_are_on_the_wire_as_there_are_workers_and_no_more(relay, settings):
    settings.MAIL_WORKERS = 2
    relay.gate.clear()
    for _ in range(6):
        store()
    with running(Worker()) as worker:
        assert relay.data_seen.wait(60)
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
    assert relay.data_seen.wait(60)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    assert worker._stopping.wait(60)
    relay.gate.set()
    stopping.join()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.SENT, State.QUEUED)


def test_a_stop_cuts_what_the_relay_does_not_answer_in_time(relay, settings):
    """It may have been accepted: the doubt is noted at once, not when the lease runs out."""
    settings.MAIL_STOP_TIMEOUT = 0.2
    relay.gate.clear()
    message = store()
    worker = Worker()
    worker.start()
    assert relay.data_seen.wait(60)
    worker.stop()
    message.refresh_from_db()
    assert (message.state, message.possible_duplicate, message.claim_token) == (State.QUEUED, True, None)


def test_a_reply_is_recorded_as_soon_as_the_database_is_back(relay, monkeypatch, caplog):
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite can be locked as a whole")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    relay.gate.clear()
    message = store()
    with running(Worker()):
        assert relay.data_seen.wait(60)
        with contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
            other.execute("BEGIN EXCLUSIVE")
            relay.gate.set()
            wait_until(lambda: "cannot be recorded" in caplog.text)
            other.rollback()
        assert message.wait(60) == State.SENT
    assert (message.attempt_count, message.possible_duplicate, len(relay.mails)) == (1, False, 1)


def test_a_server_that_ends_all_connections_costs_nothing(relay):
    """Every later job would fail for good if a thread went on with a connection that is gone."""
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL ends connections on demand")
    with running(Worker()) as worker:
        assert store().wait(60) == State.SENT
        relay.gate.clear()
        message = store()
        worker.wake()
        relay.wait_until_in_data(1)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        relay.gate.set()
        assert message.wait(60) == State.SENT
    assert len(relay.mails) == 2


def test_the_relays_outage_can_be_seen_while_it_lasts(settings, monkeypatch):
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    with SmtpServer() as gone:
        use_relay(settings, gone)
    message = store()
    with running(Worker()):
        wait_until(RelayOutage.objects.exists)
        assert "connection refused" in RelayOutage.objects.get().reason
        with SmtpServer(port=gone.port_was) as back:
            assert message.wait(60) == State.SENT
            wait_until(lambda: not RelayOutage.objects.exists())
            assert len(back.mails) == 1


def test_an_outage_that_cannot_be_cleared_ends_no_delivery_and_is_cleared_later():
    RelayOutage.objects.note(new_transport().server.name, "down", timezone.now())
    worker = Worker()

    def away(*arguments):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        worker._note_recovery()
    assert RelayOutage.objects.exists()
    worker._note_recovery()
    assert not RelayOutage.objects.exists()
    worker.stop()


def test_mail_that_nobody_delivers_is_in_the_log_of_every_sweep(relay, settings, caplog):
    settings.MAIL_SWEEP_INTERVAL = 0.05
    message = store()
    OutboxMessage.objects.filter(pk=message.pk).update(next_attempt_at=timezone.now() - timedelta(hours=1))
    worker = Worker()
    worker._free_threads = lambda: 0
    with running(worker):
        wait_until(lambda: caplog.text.count("The oldest due message has waited for 36") >= 2)


def test_a_relay_that_is_down_is_probed_until_it_is_back(settings, monkeypatch, caplog):
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    with SmtpServer() as gone:
        use_relay(settings, gone)
    message = store()
    with running(Worker()) as worker:
        wait_until(lambda: "connection refused" in worker._outage)
        assert message.wait(0) == State.QUEUED
        with SmtpServer() as back:
            settings.MAIL_PORT = back.port
            assert message.wait(60) == State.SENT
    assert message.attempt_count == 1
    assert caplog.text.count("connection refused") == 1
    assert "takes mail again" in caplog.text


def test_while_the_relay_is_down_one_thread_probes(settings, smtp_server):
    use_relay(settings, smtp_server)
    worker = Worker()
    worker._outage, worker._probe_at = "down", 0.0
    assert worker._free_threads() == 1
    worker._busy = 1
    assert worker._free_threads() == 0
    worker.stop()


def test_pauses_between_probes_grow_up_to_a_minute():
    worker = Worker()
    pauses = []
    for _ in range(9):
        worker._probe_at = 0.0
        worker._note_relay_outage("down")
        pauses.append(worker._pause)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    worker.stop()


def test_pauses_grow_up_to_an_hour_while_the_account_may_not_send():
    worker = Worker()
    pauses = []
    for _ in range(8):
        worker._probe_at = 0.0
        worker._note_relay_outage("its quota is used up", is_about_account=True)
        pauses.append(worker._pause)
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    worker.stop()


def test_a_quota_that_is_used_up_fails_no_mail_and_can_be_seen_while_it_lasts(relay, settings, monkeypatch, caplog):
    monkeypatch.setattr(worker_module, "FIRST_PAUSE_OF_ACCOUNT", 0.05)
    settings.MAIL_PASSWORD = "hunter2"
    relay.replies["DATA"] = ["550-5.4.5 Daily user sending limit exceeded.\r\n550 5.4.5 - gsmtp"] * 3
    message = store()
    with running(Worker()):
        wait_until(RelayOutage.objects.exists)
        reason = RelayOutage.objects.get().reason
        assert message.wait(60) == State.SENT
    assert "The account of MAIL_USERNAME has sent as much as its quota allows" in reason
    assert reason in caplog.text
    assert "hunter2" not in caplog.text
    assert message.attempt_count == 1


def test_after_the_first_mail_that_gets_through_all_threads_go_on(relay, settings):
    """The thread that probed would otherwise deliver the whole backlog alone."""
    settings.MAIL_WORKERS = 2
    relay.gate.clear()
    for _ in range(40):
        store()
    worker = Worker()
    worker._outage = "down"
    with running(worker):
        relay.wait_until_in_data(1)
        relay.gate.set()
        relay.wait_for(1)
        relay.gate.clear()
        relay.wait_until_in_data(2)
        relay.gate.set()
        relay.wait_for(40)


def test_threads_that_meet_the_same_outage_do_not_prolong_the_pause():
    worker = Worker()
    for _ in range(4):
        worker._note_relay_outage("down")
    assert worker._pause == 1
    worker.stop()


def test_after_an_outage_that_another_process_saw_the_end_of_it_does_not_look_all_the_time():
    """Nothing is due any more, so there is nothing to probe with."""
    worker = Worker()
    worker._maintain([])
    worker._outage, worker._probe_at = "down", time.monotonic() - 5
    assert worker._seconds_to_next_sweep(None) > 1
    worker.stop()


def test_an_error_that_lasts_is_told_once_and_tried_again_after_a_pause(relay, monkeypatch, caplog):
    monkeypatch.setattr(worker_module, "FIRST_PAUSE", 0.05)
    calls = []

    def fail(stop, delivered):
        calls.append(stop)
        raise RuntimeError("always the same")

    monkeypatch.setattr(worker_module, "deliver_due", fail)
    store()
    with running(Worker()):
        wait_until(lambda: len(calls) >= 2)
    assert caplog.text.count("delivering thread failed") == 1


def test_a_database_that_is_away_for_a_while_does_not_end_the_thread(relay, settings, monkeypatch, caplog):
    settings.MAIL_SWEEP_INTERVAL = 0.05
    failures = ["first", "second"]
    original = worker_module.OutboxMessage.objects.unfinished

    def fail_twice():
        if failures:
            raise RuntimeError(failures.pop())
        return original()

    monkeypatch.setattr(worker_module.OutboxMessage.objects, "unfinished", fail_twice)
    with running(Worker()):
        assert store().wait(60) == State.SENT
    assert "outbox could not be read" in caplog.text


def test_a_failing_delivery_does_not_end_the_pool(relay, settings, monkeypatch, caplog):
    settings.MAIL_SWEEP_INTERVAL = 0.05
    failures = ["once"]
    original = worker_module.deliver_due

    def fail_once(stop, delivered):
        if failures:
            raise RuntimeError(failures.pop())
        return original(stop, delivered)

    monkeypatch.setattr(worker_module, "deliver_due", fail_once)
    with running(Worker()):
        assert store().wait(60) == State.SENT
    assert "delivering thread failed" in caplog.text


def test_the_threads_keep_no_database_connection_for_themselves(relay):
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL's connections are pooled")
    store()
    before = lent_connections()  # this one, and what another test's thread has not given back yet
    with running(Worker()):
        store().wait(60)
        wait_until(lambda: lent_connections() <= before)


def lent_connections():
    stats = connection.pool.get_stats()
    return stats["pool_size"] - stats["pool_available"]


def test_a_relay_that_refuses_one_connection_and_serves_the_others_is_not_knocked_at_with_each_acceptance(monkeypatch):
    worker, now = Worker(), [100.0]
    monkeypatch.setattr(worker_module.time, "monotonic", lambda: now[0])
    worker._outage_noted = False
    worker._is_news("421 Too many connections")
    worker._note_recovery()
    assert worker._free_threads() == 0
    now[0] = worker._probe_at
    worker._note_recovery()
    assert worker._free_threads() == worker._threads
    worker.stop()


def test_an_idle_worker_looks_with_one_query(django_assert_num_queries):
    worker = Worker()
    worker._sweep()  # gives a sign of life, which is due again in MAIL_SWEEP_INTERVAL
    with django_assert_num_queries(1):
        worker._sweep()
    worker.stop()


def test_a_sign_of_life_costs_one_query(django_assert_num_queries):
    Process.objects.heartbeat("host 12", 4)
    with django_assert_num_queries(1):
        Process.objects.heartbeat("host 12", 4)
    assert Process.objects.alive().get().threads == 4


def test_a_worker_that_has_no_free_thread_does_not_look(django_assert_num_queries):
    worker = Worker()
    worker._maintain([])
    worker._busy = worker._threads
    with django_assert_num_queries(0):
        worker._sweep()
    worker.stop()


def test_the_look_is_answered_by_the_index_in_its_own_order():
    if connection.vendor != "sqlite":
        pytest.skip("with few rows the others read the table")
    plan = OutboxMessage.objects.unfinished().values_list("state", "next_attempt_at")[:5].explain()
    assert "USING COVERING INDEX flasky_mail_due" in plan
    assert "TEMP B-TREE" not in plan
