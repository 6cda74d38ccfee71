"""Notice each step by which a process is heard outside of it: statements, commands to the relay, replies, threads.

The product has no hooks for this: Django's cursors, smtplib and threading are wrapped in the process that is watched.
"""

import re
import smtplib
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

CONNECT, STATEMENT, COMMAND, REPLY, THREAD = "connect", "statement", "command", "reply", "thread"
BEFORE, AFTER = "before", "after"
LONGEST = 70  # characters of a statement in a name


class Step(NamedTuple):
    kind: str
    what: str
    thread: str

    def __str__(self):
        return f"{self.kind} {self.what} ({self.thread})"

    @property
    def writes(self):
        """Whether a database that only reads, or is full, refuses it."""
        return self.kind == STATEMENT and not self.what.startswith(("SELECT", "PRAGMA", "SAVEPOINT", "RELEASE", "ROLL"))


class Strike:
    """What whoever acts at a point can reach: the database's wrapper or the socket."""

    def __init__(self, database=None, sock=None):
        self.database, self.sock = database, sock


def watch(at: Callable[[int, Step, str, Strike], None]) -> None:
    """Call `at` before and after each step of this process, in the thread that takes it, and raise what it raises.

    The steps are numbered in the order in which they begin.
    """
    numbers = count()
    original_start = threading.Thread.start
    greet, getreply = smtplib.SMTP._get_socket, smtplib.SMTP.getreply

    @contextmanager
    def step(kind, what, **reach):
        taken, strike = Step(kind, what, threading.current_thread().name.rstrip("0123456789_-")), Strike(**reach)
        number = next(numbers)
        at(number, taken, BEFORE, strike)
        yield
        at(number, taken, AFTER, strike)

    def execute(cursor, sql, parameters, *ignored):
        with cursor.db.wrap_database_errors, step(STATEMENT, _short(sql), database=cursor.db):
            return cursor.cursor.execute(sql) if parameters is None else cursor.cursor.execute(sql, parameters)

    def executemany(cursor, sql, parameters, *ignored):
        with cursor.db.wrap_database_errors, step(STATEMENT, _short(sql), database=cursor.db):
            return cursor.cursor.executemany(sql, parameters)

    def commit(database):
        if database.connection is not None:
            with database.wrap_database_errors, step(STATEMENT, "COMMIT", database=database):
                return database.connection.commit()

    def rollback(database):
        if database.connection is not None:
            with database.wrap_database_errors, step(STATEMENT, "ROLLBACK", database=database):
                return database.connection.rollback()

    def connect(database, connect=BaseDatabaseWrapper.connect):
        with step(CONNECT, "database", database=database):
            return connect(database)

    def get_socket(smtp, host, port, timeout):
        with step(CONNECT, "relay"):
            plain = greet(smtp, host, port, timeout)
            watched = _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())
            watched.settimeout(timeout)
            watched.step = step
        return watched

    def read_reply(smtp):
        with step(REPLY, "", sock=smtp.sock):
            return getreply(smtp)

    def start(thread):
        with step(THREAD, thread.name.rstrip("0123456789_-")):
            return original_start(thread)

    CursorWrapper._execute, CursorWrapper._executemany = execute, executemany
    BaseDatabaseWrapper._commit, BaseDatabaseWrapper._rollback = commit, rollback
    BaseDatabaseWrapper.connect = connect
    smtplib.SMTP._get_socket, smtplib.SMTP.getreply = get_socket, read_reply
    threading.Thread.start = start


def as_if_a_day_later():
    """Let nothing count that was looked up, and is believed for a while, when this process's parent did the same."""
    monotonic = time.monotonic
    time.monotonic = lambda: monotonic() + 24 * 3600


class _Socket(socket.socket):
    """A connection to the relay."""

    def send(self, data, *flags):
        with self.step(COMMAND, _verbs(data), sock=self):
            return super().send(data, *flags)

    def sendall(self, data, *flags):
        with self.step(COMMAND, _verbs(data), sock=self):
            return super().sendall(data, *flags)


def _short(sql):
    words = " ".join(str(sql).split())
    return re.sub(r'"s\d+_x\d+"|`s\d+_x\d+`', "", words)[:LONGEST]  # each savepoint has a name of its own


def _verbs(data):
    lines = bytes(data).split(b"\r\n")
    verbs = [line[:4].decode("latin-1") for line in lines if line[:4].isupper() and line[4:5] in (b" ", b"")]
    return ("text " if len(lines) > len(verbs) + 3 else "") + " ".join(verbs)
