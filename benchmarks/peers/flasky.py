"""Flasky itself, through its public doors: send_email() and manage.py deliver_mail."""

import contextlib
import itertools
import os
import random
import resource
import time
from collections import Counter
from io import StringIO
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.backends.signals import connection_created

from benchmarks import mails, tables
from flasky.mail import dispatchers, render_email, send_email
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.models import OutboxMessage
from flasky.mail.transports import close_kept


def store(count, priorities=("normal",)):
    user = mails.new_user()
    for priority in itertools.islice(itertools.cycle(priorities), count):
        send_email(mails.TO, "New User", "mail/new_user", user=user, priority=priority)


def drain():
    call_command("deliver_mail", stdout=StringIO())  # raises if anything is left


def users():
    return {"users": get_user_model().objects.count()}


def clear():
    tables.empty(OutboxMessage)


def settle():
    tables.settle()


def fill(sent=0, waiting=0, attachment=0):
    """Make rows in SQL, as copies of real ones: finished mails with their history, pruned, and mails that are due."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")  # of this connection, which is closed afterwards
            cursor.execute("PRAGMA cache_size=-500000")  # KiB
    if sent:
        call_command("deliver_mail", stdout=StringIO())
        store(1)
        call_command("deliver_mail", stdout=StringIO())
        original = OutboxMessage.objects.latest("pk")
        OutboxMessage.objects.filter(pk=original.pk).update(content=b"")
        tables.copy_row(original, sent - 1, apart=0.1)
        tables.copy_related(original)
    if waiting:
        email = render_email(mails.TO, "New User", "mail/new_user", user=mails.new_user())
        if attachment:
            email.attach("attachment.bin", os.urandom(attachment), "application/octet-stream")
        email.send()
        copy_what_waits(waiting - 1)
    tables.settle()


def copy_what_waits(count):
    original = OutboxMessage.objects.latest("pk")
    tables.copy_row(original, count, apart=0.001)
    tables.copy_related(original)


def drain_until_stopped():
    """Deliver until a SIGINT arrives."""
    with contextlib.suppress(CommandError):
        drain()


def peak_memory():
    """Return the largest resident size of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage() would count the parent's size before the exec
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return {"megabytes": int(line.split()[1]) / 1024}
    return {"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2}


def serve():
    """Be a process that answers requests and delivers with its threads."""
    dispatchers.serve()


def trickle(count):
    """Send mails with pauses; return the time of each commit on the monotonic clock, by Message-ID."""
    committed_at = {}
    for _ in range(count):
        time.sleep(random.uniform(0.1, 0.2))
        with transaction.atomic():
            moment = []
            transaction.on_commit(lambda noted=moment: noted.append(time.monotonic()))  # before the one that wakes
            email = send_email(mails.TO, "New User", "mail/new_user", user=mails.new_user())
        committed_at[email.outbox_message.message_id] = moment[0]
    return {"committed_at": committed_at}


queries = []


def note_queries():
    """From now on note every query of every thread."""

    def note(execute, sql, params, many, context):
        queries.append((time.monotonic(), sql, params[0] if many else params))
        return execute(sql, params, many, context)

    def watch(connection, **signal):
        if note not in connection.execute_wrappers:
            connection.execute_wrappers.append(note)

    connection_created.connect(watch, weak=False)


def count_queries():
    """Return how many there were since the last time; BEGIN and COMMIT are none."""
    count = len(queries)
    queries.clear()
    return {"queries": count}


def rest(seconds):
    queries.clear()
    time.sleep(seconds)
    noted = list(queries)
    moments = [moment for moment, *_ in noted]
    sweeps = sum(later - earlier > 1 for earlier, later in itertools.pairwise(moments)) + bool(noted)
    return {"queries": len(noted), "sweeps": sweeps, "plans": plans({sql: params for _, sql, params in noted})}


def deliver_some(count):
    """Deliver so many of what waits, with one thread; return the plans of what was asked again and again."""
    left = iter(range(count))
    queries.clear()
    deliver_due(stop=lambda: next(left, None) is None)
    close_kept()
    times = Counter(sql for _, sql, _ in queries)
    repeated = {sql: params for _, sql, params in queries if times[sql] > 1 and sql.startswith(READING)}
    return {"plans": plans(repeated)}


READING = ("SELECT", "WITH", "UPDATE", "DELETE")
EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN", "mysql": "EXPLAIN FORMAT=JSON"}


def plans(distinct):
    """Return each query and how the database finds its rows."""
    explain = EXPLAIN[connection.vendor]
    found = []
    with connection.cursor() as cursor:
        for sql, params in distinct.items():
            cursor.execute(f"{explain} {sql}", params)
            found.append([sql, " / ".join(str(row[-1]).strip() for row in cursor.fetchall())])
    return found
