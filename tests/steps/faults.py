"""What can happen to a process at a step: its death, a stop, or an error of the database, the relay or the machine.

PostgreSQL and MariaDB raise the errors themselves, so that transaction and connection are as they are after one.
"""

import os
import signal
import socket
import sqlite3

from tests.steps.points import AFTER, BEFORE, COMMAND, REPLY, STATEMENT, THREAD

# Of each database: by what it says a fault, or by a statement that does it.
SQLITE = {
    "connection lost": "disk I/O error",  # there is none to be lost
    "deadlock": "database is locked",
    "read-only": "attempt to write a readonly database",
    "disk full": "database or disk is full",
    "time-out": "interrupted",
}
POSTGRESQL = {"deadlock": "40P01", "read-only": "25006", "disk full": "53100", "time-out": "57014"}
MYSQL = {
    "deadlock": ("40001", 1213),
    "read-only": ("HY000", 1290),
    "disk full": ("HY000", 1021),
    "time-out": ("HY000", 1205),
}

ERRORS = ("connection lost", "deadlock", "read-only", "disk full", "time-out", "no thread")
ACTS = ("death", "stop", *ERRORS)


def points(act, steps):
    """Yield at which steps an act is possible, each with BEFORE or AFTER."""
    for number, step in enumerate(steps):
        for when in _moments(act, step):
            yield number, when


def _moments(act, step):
    if act in ("death", "stop"):
        return BEFORE, AFTER
    if act in ("connection lost", "time-out"):
        # A socket that has taken the bytes says so: only the connection can be cut then.
        both = step.kind == STATEMENT or (step.kind == COMMAND and act == "connection lost")
        return (BEFORE, AFTER) if both else (BEFORE,) if step.kind != THREAD else ()
    kind = THREAD if act == "no thread" else STATEMENT
    is_possible = step.kind == kind and (step.writes or act not in ("read-only", "disk full"))
    return (BEFORE,) if is_possible else ()


def leaves_doubt(act, step):
    """Whether the relay may have a mail then without having said so to us."""
    return act in ERRORS and step.kind in (COMMAND, REPLY)


def strike(act, story, reach):
    """Do it here; an error is raised."""
    if act == "death":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act == "stop":
        story.stop()
    elif act == "no thread":
        raise RuntimeError("can't start new thread")
    elif reach.database:
        _fail(act, reach.database)
    else:
        _cut(act, reach.sock)


def _cut(act, sock):
    if act == "time-out":
        raise TimeoutError("timed out")
    if sock is None:
        raise ConnectionRefusedError(111, "Connection refused")
    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # whoever reads or writes then is told so


def _fail(act, database):
    if database.connection is None:
        raise database.Database.OperationalError("could not connect to server")
    raw = database.connection
    {"sqlite": _fail_sqlite, "postgresql": _fail_postgresql, "mysql": _fail_mysql}[database.vendor](act, raw)


def _fail_sqlite(act, raw):
    if act == "connection lost":
        raw.rollback()  # as SQLite does after most of these errors
    raise sqlite3.OperationalError(SQLITE[act])


def _fail_postgresql(act, raw):
    if act == "connection lost":
        raw.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    raw.execute(f"DO $$ BEGIN RAISE EXCEPTION '{act}' USING ERRCODE = '{POSTGRESQL[act]}'; END $$")


def _fail_mysql(act, raw):
    cursor = raw.cursor()
    if act == "connection lost":
        cursor.execute(f"KILL {raw.thread_id()}")
        cursor.execute("SELECT 1")
    if act == "deadlock":
        cursor.execute("ROLLBACK")  # as the server does with the one it chooses
    state, number = MYSQL[act]
    cursor.execute(
        f"BEGIN NOT ATOMIC SIGNAL SQLSTATE '{state}' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = '{act}'; END"
    )
