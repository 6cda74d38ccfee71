"""flasky.databases.sqlite3: whoever wants SQLite's lock looks often for it, and visitors come before deliverers."""

import gc
import sqlite3
import threading
from contextlib import closing

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.sqlite3.base import SQLiteCursorWrapper

from flasky.databases.sqlite3 import base
from flasky.mail.runtime import background

TIMEOUT = 20  # s, of flasky/databases/url.py
PATIENCE = 60  # s until a test that hangs fails


@pytest.fixture(autouse=True)
def _file(transactional_db):
    if connection.vendor != "sqlite":
        pytest.skip("the others have a lock for each row")
    connection.ensure_connection()


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now, self.pauses, self.wake_up = 0.0, [], lambda: None

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds
        self.wake_up()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(base, "time", clock)
    return clock


@pytest.fixture
def another_process():
    """A connection of somebody else, who has the lock."""
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def begin_and_end():
    with transaction.atomic():
        pass


def in_another_thread(work):
    def done():
        work()
        connection.close()

    thread = threading.Thread(target=done)
    thread.start()
    return thread


def pauses_until_free(clock, another_process, seconds):
    clock.wake_up = lambda: clock.now >= seconds and another_process.in_transaction and another_process.rollback()
    in_another_thread(begin_and_end).join()
    return clock.pauses


def test_the_looks_for_another_process_do_not_grow_rarer(clock, another_process):
    pauses = pauses_until_free(clock, another_process, 0.5)
    assert len(pauses) > 300
    assert max(pauses) <= 1.5 * base.LOOK


def test_the_background_looks_rarely(clock, another_process, monkeypatch):
    monkeypatch.setattr(base, "is_in_background", lambda: True)
    pauses = pauses_until_free(clock, another_process, base.LONGEST_COURTESY / 2)
    assert min(pauses) >= 0.5 * base.LOOK_IN_BACKGROUND


def test_the_background_is_not_put_off_for_ever(clock, another_process, monkeypatch):
    monkeypatch.setattr(base, "is_in_background", lambda: True)
    pauses = pauses_until_free(clock, another_process, 2)
    assert sum(pauses[-100:]) < 1.5 * 100 * base.LOOK


def test_only_the_threads_that_say_so_are_in_the_background():
    said = []

    def deliver():
        background.work_in_background()
        said.append(background.is_in_background())

    in_another_thread(deliver).join()
    assert said == [True]
    assert not background.is_in_background()


class NotedTurn:
    """The turn of this process, and for how long each has asked for it."""

    def __init__(self, turn):
        self.turn, self.release = turn, turn.release
        self.asked, self.has_asked = [], threading.Event()

    def acquire(self, timeout):
        self.asked.append(timeout)
        self.has_asked.set()
        return self.turn.acquire(timeout=timeout)


def test_a_thread_of_this_process_is_woken_and_looks_at_nothing_before(clock, monkeypatch):
    monkeypatch.setattr(base, "LONGEST_TURN", PATIENCE)
    with transaction.atomic():
        noted = NotedTurn(base._turn)
        monkeypatch.setattr(base, "_turn", noted)
        thread = in_another_thread(begin_and_end)
        assert noted.has_asked.wait(PATIENCE)
    thread.join()
    assert noted.asked == [PATIENCE]
    assert clock.pauses == []


def test_a_thread_that_keeps_its_turn_for_long_is_not_waited_for(another_process, monkeypatch):
    monkeypatch.setattr(base, "LONGEST_TURN", 0.01)
    another_process.rollback()
    with base._turn:
        begin_and_end()
    assert not base._turn.locked()


def test_whoever_has_waited_for_the_timeout_is_refused_and_leaves_the_turn_to_the_next(clock, another_process):
    with pytest.raises(OperationalError, match="database is locked"):
        begin_and_end()
    assert TIMEOUT <= clock.now < TIMEOUT + 1
    another_process.rollback()
    begin_and_end()
    assert not base._turn.locked()


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_a_transaction_that_is_not_committed_leaves_the_turn_too(end):
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
    assert base._turn.locked()
    getattr(connection, end)()
    assert not base._turn.locked()
    connection.close()


def test_a_write_without_a_transaction_waits_in_sqlite_as_before():
    begin_and_end()
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA busy_timeout").fetchone() == (TIMEOUT * 1000,)


def test_a_look_in_vain_leaves_no_cursor_for_the_garbage_collector(another_process, clock):
    """It may run in the thread that has the lock, and would wait there for the connection that waits for the lock."""
    gc.collect()
    gc.disable()
    try:
        before = cursors()
        with pytest.raises(OperationalError, match="locked") as last:
            begin_and_end()
        del last
        left = cursors() - before
    finally:
        gc.enable()
    assert len(clock.pauses) > 100
    assert left <= 1  # that of the error which was raised


def cursors():
    # Of some objects isinstance() would ask the class, and Django's lazy ones would begin to work.
    return sum(type(each) is SQLiteCursorWrapper for each in gc.get_objects())
