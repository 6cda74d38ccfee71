"""What a profiled process does: it stores, or drains, and notes where its time and its statements go."""

import cProfile
import itertools
import os
import pstats
import random
import re
import sys
import sysconfig
import threading
import time
from collections import defaultdict
from importlib import import_module
from pathlib import Path

from django.core.mail import EmailMultiAlternatives
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.db.backends.sqlite3.base import SQLiteCursorWrapper

from benchmarks import mails
from benchmarks.profile import steps
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.transports import close_kept

NAME = os.environ.get("PROFILED", "flasky")
peer = import_module(f"benchmarks.peers.{NAME}")
# Orders of the parent's, besides those below
clear, fill, settle, store, drain = peer.clear, peer.fill, peer.settle, peer.store, peer.drain

ROOT = Path(__file__).resolve().parents[2]
STANDARD = sysconfig.get_path("stdlib")
OWN = ("flasky.", "accounts.", f"{NAME}.")  # packages whose functions are looked for as the cause of a statement
BELOW = ("flasky.mail.db.", "flasky.databases.", "flasky.mail.models.one_database")  # they only pass statements on


def store_fixed(count):
    """Store mails whose size no change of a template changes."""
    words = random.Random(17)
    html = " ".join(f"{words.randrange(10**6)} fixed" for _ in range(250))
    for _ in range(count):
        email = EmailMultiAlternatives("A mail of fixed size", "Of fixed size, too.", None, [mails.TO])
        email.attach_alternative(f"<p>{html}</p>", "text/html")
        email.send()


def fill_fixed(waiting):
    store_fixed(1)
    peer.copy_what_waits(waiting - 1)


def drain_with_one_thread():
    try:
        deliver_due()
    finally:
        close_kept()


WORK = {"store": lambda count: store(count), "drain": lambda count: drain_with_one_thread()}


def functions(work, count):
    """Return the µs a mail of each function in itself, and in itself with all that it calls; of one thread."""
    profiler = cProfile.Profile()
    profiler.runcall(WORK[work], count)
    found = []
    for (path, line, name), (_, calls, itself, together, _) in pstats.Stats(profiler).stats.items():
        found.append([place(path, line, name), calls / count, 1e6 * itself / count, 1e6 * together / count])
    return {"functions": found}


def place(path, line, name):
    if path == "~":
        return re.sub(" at 0x[0-9a-f]+", "", name.strip("<>"))
    return f"{module(path)}:{line} {name}"


def module(path):
    path = path.rpartition(f"site-packages{os.sep}")[2].removesuffix(".py")
    for folder in (ROOT, STANDARD):
        path = path.removeprefix(f"{folder}{os.sep}")
    return path.replace(os.sep, ".")


class Notes:
    """Statements as this process sees them, and how long each transaction has kept others from writing."""

    def __init__(self):
        self.statements = defaultdict(lambda: [0, 0.0])
        self.held = defaultdict(lambda: [0, 0.0, 0.0])
        self.waited = defaultdict(lambda: [0, 0.0, 0.0])
        self.here = threading.local()
        self.lock = threading.Lock()
        self.traces, self.traced = "", {}

    def watch(self):
        connection_created.connect(self._watch_connection, weak=False)
        if connection.vendor == "sqlite":
            self._watch_ends(type(connections["default"]))

    def _watch_connection(self, connection, **signal):
        if self._note not in connection.execute_wrappers:
            connection.execute_wrappers.append(self._note)
        if connection.vendor == "sqlite":  # so that the log's growth is all that was written
            connection.connection.execute("PRAGMA wal_autocheckpoint=0")
        elif self.traces and connection.vendor == "postgresql":
            self._trace(connection.connection.pgconn)

    def _trace(self, server):
        """A pool lends the same connection again and again."""
        with self.lock:
            if server.pgconn_ptr not in self.traced:
                path = Path(self.traces) / str(len(self.traced))
                self.traced[server.pgconn_ptr] = server, path
                server.trace(os.open(path, os.O_CREAT | os.O_WRONLY))

    def round_trips(self):
        """Return how often this process spoke to PostgreSQL after it had heard an answer."""
        for server, _ in self.traced.values():
            server.untrace()
        return sum(turns(path.read_text("utf-8", "replace")) for _, path in self.traced.values())

    def _note(self, execute, sql, params, many, context):
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            ended, times = time.perf_counter(), len(params) if many else 1
            self._add(self.statements, (caller(), shortened(sql)), ended - started, times)
            if context["connection"].vendor == "sqlite":
                self._note_lock(sql, context["connection"], started, ended)

    def _note_lock(self, sql, connection, started, ended):
        if sql.startswith("BEGIN"):
            self._add(self.waited, caller(), ended - started)
            self.here.taken_at = ended
        elif not connection.in_atomic_block and not sql.startswith(("SELECT", "PRAGMA", "SAVEPOINT")):
            if " RETURNING " in sql:  # it is not over, nor committed, before its row is fetched
                self.here.returning_at = started
            else:
                self._add(self.held, caller(), ended - started)

    def _watch_ends(self, kind):
        for name in ("_commit", "_rollback"):
            setattr(kind, name, self._noting_end(getattr(kind, name)))
        SQLiteCursorWrapper.fetchone = self._noting_end(SQLiteCursorWrapper.fetchone, "returning_at")

    def _noting_end(self, end, began="taken_at"):
        def noting(thing):
            try:
                return end(thing)
            finally:
                if taken_at := getattr(self.here, began, None):
                    self._add(self.held, caller(), time.perf_counter() - taken_at)
                    setattr(self.here, began, None)

        return noting

    def _add(self, notes, key, seconds, times=1):
        with self.lock:
            note = notes[key]
            note[0] += times
            note[1] += seconds
            if len(note) > 2:
                note[2] = max(note[2], seconds)


def turns(trace):
    """Count the changes to F, for "front end", in what libpq writes: time, direction, length, message."""
    directions = [line.split("\t")[1] for line in trace.splitlines() if line.count("\t") > 1]
    return sum(one == "F" != before for before, one in itertools.pairwise(["", *directions]))


def caller():
    """Return the innermost function of ours that is not there to pass statements on."""
    frame = sys._getframe(1)
    while frame:
        place = module(frame.f_code.co_filename)
        if place.startswith(OWN) and not place.startswith(BELOW):
            return f"{place} {frame.f_code.co_name}"
        frame = frame.f_back
    return "elsewhere"


def shortened(sql):
    return " ".join(sql.split())[:3000]


notes = Notes()


def watch(traces=""):
    """Note statements from now on; write what is said to PostgreSQL into files of the folder, if there is one."""
    notes.traces = traces
    notes.watch()
    connection.close()


def claim_as_if_quick():
    """Claim as much at once as on a quiet machine, so that what is counted does not depend on load."""
    delivery = [module for name, module in sys.modules.items() if name.startswith("flasky.mail.delivery.")]
    places = [module for module in delivery if hasattr(module, "CLAIM_SECONDS")]
    assert places
    for module in places:
        module.CLAIM_SECONDS = 3600


def noted():
    return {
        "round_trips": notes.round_trips(),
        "statements": [[*key, *value] for key, value in notes.statements.items()],
        "held": [[key, *value] for key, value in notes.held.items()],
        "waited": [[key, *value] for key, value in notes.waited.items()],
    }


def commits(count):
    """Return how long a commit of one small row takes, and one of a mail's bytes into a table with no index."""
    statements = {
        steps.SMALL: ("INSERT INTO profile_small VALUES (%s)", [1]),
        steps.BYTES: ("INSERT INTO profile_bytes VALUES (%s)", [b"x" * 2000]),
    }
    binary = {"postgresql": "bytea", "mysql": "longblob", "sqlite": "blob"}[connection.vendor]
    seconds = {}
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE profile_small (number integer)")
        cursor.execute(f"CREATE TABLE profile_bytes (content {binary})")
        for label, (statement, values) in statements.items():
            started = time.perf_counter()
            for _ in range(count):
                cursor.execute(statement, values)
            seconds[label] = (time.perf_counter() - started) / count
        cursor.execute("DROP TABLE profile_small")
        cursor.execute("DROP TABLE profile_bytes")
    return {"commits": seconds}
