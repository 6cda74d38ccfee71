"""How fast waiting mail leaves: over loopback, and over 20 ms with STARTTLS and login."""

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from statistics import median

from benchmarks import databases, relay
from benchmarks.child import Child, Missing
from benchmarks.figure import Figure

WORKERS = 4
LONGEST_DRAIN = 900  # s

# smtplib and the relay take turns, so its rate depends several times over on whether the scheduler lets them share a
# core. Flasky is held against what the scheduler does; these two, on loopback only, show how much that is worth.
SAME_CORE, OTHER_CORE = "smtplib, relay on the same core", "smtplib, relay on another core"

# label, module, its own settings, whether it is fast enough for as many mails as Flasky
SUBJECTS = (
    ("Flasky", "flasky", {}, True),
    ("django-post_office", "post_office", {}, True),
    ("django-post_office, batches of 1,000", "post_office", {"POST_OFFICE_BATCH_SIZE": "1000"}, True),
    ("smtplib, bytes ready", "smtp_limit", {}, True),
    (f"smtplib, bytes ready, {WORKERS} connections", "smtp_limit", {"CONNECTIONS": str(WORKERS)}, True),
    (SAME_CORE, "smtp_limit", {}, True),
    (OTHER_CORE, "smtp_limit", {}, True),
    ("django-mailer", "django_mailer", {}, False),
    ("Celery, a task per mail", "celery_tasks", {}, False),
    ("django-tasks-db", "tasks_db", {}, False),
    ("EmailMessage.send()", "plain", {}, False),
)


def loopback(database, scratch, rounds, quick):
    title = f"Draining over loopback, {WORKERS} threads"
    figure = Figure("drain", title, "mails/s", database.name)
    server = relay.loopback(scratch)
    if isinstance(server, relay.OwnServer):
        figure.notes.append(
            "smtp-sink (Debian: postfix) is not installed; these benchmarks' own, slower relay was used"
        )
    with ExitStack() as stack:
        stack.callback(server.stop)
        counts = (1000, 100) if quick else (10_000, 1000)
        measure(figure, database, server, scratch, rounds, *counts, quick)
    figure.ratio("Flasky", "django-post_office", 1.5, at_least=True)
    figure.ratio("Flasky", "smtplib, bytes ready", 0.4, at_least=True)
    return figure


def distance(database, scratch, rounds, quick):
    title = f"Draining over 20 ms, STARTTLS and login, {WORKERS} connections"
    figure = Figure("distance", title, "mails/s", database.name)
    with ExitStack() as stack:
        server = relay.FarAway(scratch)
        stack.callback(server.stop)
        counts = (200, 8) if quick else (400, 40)
        measure(figure, database, server, scratch, rounds, *counts, quick)
    figure.ratio("Flasky", "django-post_office", 1.9, at_least=True)
    round_trips = [WORKERS / rate / relay.SECONDS_AWAY for rate in figure.values.get("Flasky", [])]
    figure.check("Flasky, round trips per mail", round_trips, unit="")
    return figure


def measure(figure, database, server, scratch, rounds, many, few, quick):
    """Drain by turns, each subject in its own process and with its own database."""
    with ExitStack() as stack:
        children, cpu = {}, {}
        for label, module, others, is_fast in SUBJECTS:
            if label in (SAME_CORE, OTHER_CORE) and not can_be_placed(server):
                continue
            try:
                environment = databases.settings(
                    database.new(), server, peer=module != "flasky", MAIL_WORKERS=str(WORKERS), **others
                )
                child = Child(f"benchmarks.peers.{module}", scratch, environment)
                stack.callback(child.stop)
                if module == "celery_tasks":
                    figure.notes.append(f"Celery's broker: {child.ask('broker')['broker']}")
                    stack.callback(remove_from_broker, child)
                drain(child, server, WORKERS)  # warm
                children[label] = child, many if is_fast else few
            except Missing as reason:
                figure.notes.append(f"{label}: {reason}")
        for number in range(rounds):
            for label, (child, count) in list(children.items()):
                if number and count == few and quick:
                    continue  # the slow ones take most of the time
                try:
                    with placed(label, child, server):
                        answer = drain(child, server, count)
                except Missing as reason:
                    figure.notes.append(f"{label}: {reason}")
                    del children[label]
                    continue
                figure.add(label, count / answer["seconds"])
                cpu.setdefault(label, []).append(1000 * answer["cpu_seconds"] / count)
        figure.notes.append(f"Mails per round: {many:,}; of the slow ones {few:,}")
        spent = ", ".join(f"{label} {median(values):.2f}" for label, values in cpu.items())
        figure.notes.append(f"CPU time of the delivering process, ms per mail: {spent}")


def can_be_placed(server):
    """Only on Linux, with two cores, and with a relay on loopback."""
    return hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1 and isinstance(server, relay.SmtpSink)


@contextmanager
def placed(label, child, server):
    """Bind subject and relay to one core or to two, if the label says so."""
    if label not in (SAME_CORE, OTHER_CORE):
        yield
        return
    cores = os.sched_getaffinity(0)
    first, *_, last = sorted(cores)
    os.sched_setaffinity(child.process.pid, {first})
    os.sched_setaffinity(server.process.pid, {first if label == SAME_CORE else last})
    try:
        yield
    finally:
        os.sched_setaffinity(server.process.pid, cores)  # the next subject is free again


def remove_from_broker(child):
    with suppress(Missing):
        child.ask("remove")


def drain(child, server, count):
    child.ask("clear", 120)
    child.ask("store", 300, count=count)
    child.ask("settle", 120)
    before = server.accepted()
    answer = child.ask("drain", LONGEST_DRAIN)
    deadline = time.monotonic() + 2  # s; the relay's counter may lag behind its reply
    while server.accepted() - before < count and time.monotonic() < deadline:
        time.sleep(0.05)
    if (accepted := server.accepted() - before) != count:
        raise Missing(f"the relay accepted {accepted} of {count} mails, so there is no rate. {child.last_words()}")
    return answer
