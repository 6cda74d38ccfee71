"""Actors who do something to stored mail at once with others, and are stopped at the moment that matters.

An actor is a thread with its own database connection. It is stopped before a statement that it is about to send to the
database, or between the relay's answer and its recording; no test waits for a time to pass.
"""

import json
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import Future
from datetime import timedelta
from urllib.parse import urlsplit

from django.core.mail import EmailMessage
from django.db import connection, connections, transaction
from django.db.models.functions import Now

from flasky.mail.delivery import engine
from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.signals import outcome_written
from flasky.mail.transports import Server
from flasky.mail.transports.replies import Reply, Verdict
from tests.conftest import wait_until

PATIENCE = 60  # s until a test that hangs fails

# SQLite has one writer at a time, which is stopped before it becomes that: all others would wait for it.
AT_ONCE = "SELECT flasky_mail_record"  # how the statement begins that writes the ends of several claims, on PostgreSQL
WRITING = f"^BEGIN|^UPDATE|^{AT_ONCE}"
LOCKING = "^BEGIN|FOR UPDATE"  # rows, where rows can be locked
CHANGING = "^UPDATE"  # what is locked already
NOTING = "^INSERT"  # into the history
UNCOMMITTED = "outcome_written"  # where all is written of what became of a message, and nothing is committed

ACCEPTED = Reply(Verdict.ACCEPTED, "250 Ok")
REFUSED = Reply(Verdict.REFUSED, "550 No")
POSTPONED = Reply(Verdict.POSTPONED, "451 Later")


class Stop:
    """A place where an actor waits until the test lets it go on."""

    def __init__(self):
        self.reached = threading.Event()
        self._go = threading.Event()

    def __call__(self):
        self.reached.set()
        assert self._go.wait(PATIENCE), "nobody let the actor go on"

    def wait(self):
        assert self.reached.wait(PATIENCE), "the actor did not come here"

    def go_on(self):
        self._go.set()


class Actor:
    """Do something in a thread, and stop once: before the first SQL statement that matches `before`, or UNCOMMITTED.

    `updated` has the number of rows that each UPDATE named; `failures` are raised in place of its INSERTs.
    """

    def __init__(self, action, before="", wait=True, failures=(), name="actor"):
        self.stop = Stop()
        self.updated = []
        self._action, self._before, self._failures = action, before, failures
        self._future = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        if before and wait:
            self.stop.wait()

    def result(self):
        """Let it go on to its end, and return what it got."""
        self.stop.go_on()
        return self._future.result(PATIENCE)

    def _run(self):
        if self._before == UNCOMMITTED:
            outcome_written.connect(self._look_before_commit)
        try:
            with connection.execute_wrapper(self._look):
                result = self._action()
        except BaseException as error:
            connections.close_all()
            self._future.set_exception(error)
        else:
            connections.close_all()
            self._future.set_result(result)
        outcome_written.disconnect(self._look_before_commit)
        self.stop.reached.set()

    def _look(self, execute, sql, parameters, many, context):
        if self._before and re.search(self._before, sql) and not self.stop.reached.is_set():
            self.stop()
        if sql.startswith("UPDATE"):
            self.updated.append(len(parameters) if many else 1)
        if sql.startswith(AT_ONCE):
            self.updated.append(len(json.loads(parameters[0])))
        if sql.startswith(("INSERT", AT_ONCE)) and self._failures:
            raise self._failures.pop()
        return execute(sql, parameters, many, context)

    def _look_before_commit(self, **signal):
        if threading.current_thread() is self._thread and not self.stop.reached.is_set():
            self.stop()


class Relay:
    """A transport whose relay says the same to all, or what `replies` has for an address."""

    server = Server("relay.test:25")

    def __init__(self, replies):
        self._replies = replies

    def deliver_each(self, messages):
        for message in messages:
            if isinstance(self._replies, dict):
                yield self._replies
            else:
                yield dict.fromkeys(message.remaining_recipients, self._replies)


def end(held, replies=ACCEPTED):
    """End an attempt as its holder does when the relay has answered; return what became of the message."""
    [state] = engine.deliver([held], Relay(replies))
    return state


def store(*recipients):
    email = EmailMessage("Hi", "Hello", "ann@example.com", recipients or ["b@example.com"])
    email.send()
    return email.outbox_message


def claim(holder="holder"):
    [claimed] = OutboxMessage.objects.claim(1, holder)
    return claimed


def wait_until_locked(message):
    """PostgreSQL gets statements in groups: who is stopped before one may not have had the answer to the last."""
    if connection.features.has_select_for_update_skip_locked:
        rows = OutboxMessage.objects.filter(pk=message.pk).select_for_update(skip_locked=True)
        wait_until(lambda: not _locking(rows))


@transaction.atomic
def _locking(rows):
    return list(rows)


def expire():
    assert OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=Now() - timedelta(seconds=1))


def outcomes(message):
    return list(message.attempts.values_list("outcome", flat=True))


def check_the_rescuers_end(message, relay):
    message.refresh_from_db()
    assert (message.state, message.possible_duplicate, message.claim_token) == (State.SENT, True, None)
    assert message.attempt_count == 2
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.ACCEPTED, Attempt.Outcome.LATE]
    first, second = relay.mails
    assert first.content == second.content
    assert first.message["Message-ID"] == message.message_id


def start_python(script, **variables):
    """Start a process of its own that runs the script on this test's database."""
    environment = {**os.environ, **on_this_database(), **variables}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, text=True, bufsize=1, **pipes)


def run_at_once(processes):
    """Let processes begin that have said "ready", and wait until they say "done"."""
    try:
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * len(processes)
        for process in processes:
            process.stdin.write("now\n")
        assert [process.stdout.readline() for process in processes] == ["done\n"] * len(processes)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def succeed(script):
    """Run the script in a process of its own, and say what it has said if it fails."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    finished = subprocess.run([sys.executable, "-c", script], env=environment, timeout=60, capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()


def on_this_database():
    """Return the environment of a process that works on this test's database."""
    database = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])
    own = f"sqlite:///{database}" if url.scheme == "sqlite" else url._replace(path=database).geturl()
    return {"DJANGO_SETTINGS_MODULE": "flasky.settings", "DATABASE_URL": own}
