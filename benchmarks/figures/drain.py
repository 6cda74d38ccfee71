"""How fast waiting mail leaves: over loopback, and over 20 ms with STARTTLS and login."""

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median

from benchmarks import databases, relay
from benchmarks.child import Child, Missing
from benchmarks.figure import Figure

WORKERS = 4
LONGEST_DRAIN = 900  # s
ROUNDS_BESIDE = 2  # of those that no goal is reckoned from

POST_OFFICE, LARGE_BATCHES = "django-post_office", "django-post_office, batches of 1,000"
AT_ITS_BEST = "django-post_office at its best"
LIMIT = "smtplib, bytes ready"
# smtplib and the relay take turns, so its rate depends several times over on whether the scheduler lets them share a
# core. Flasky is held against what the scheduler does; these two, on loopback only, show how much that is worth.
SAME_CORE, OTHER_CORE = "smtplib, relay on the same core", "smtplib, relay on another core"

GOALS = {  # by database: of post_office at its best, of the limit
    "SQLite": (2.0, 0.5),
    "PostgreSQL": (1.6, 0.4),
    "MariaDB": (None, None),
}


@dataclass
class Subject:
    label: str
    module: str
    settings: dict[str, str] = field(default_factory=dict)  # of its own
    beside: bool = False  # no goal is reckoned from it: fewer rounds, and not on MariaDB
    is_slow: bool = False  # fewer mails
    can_fill: bool = False  # its waiting mails are copied in SQL


SUBJECTS = (
    Subject("Flasky", "flasky", can_fill=True),
    Subject(POST_OFFICE, "post_office", can_fill=True),
    Subject(LARGE_BATCHES, "post_office", {"POST_OFFICE_BATCH_SIZE": "1000"}, can_fill=True),
    Subject(LIMIT, "smtp_limit"),
    Subject(f"{LIMIT}, {WORKERS} connections", "smtp_limit", {"CONNECTIONS": str(WORKERS)}, beside=True),
    Subject(SAME_CORE, "smtp_limit", beside=True),
    Subject(OTHER_CORE, "smtp_limit", beside=True),
    Subject("django-mailer", "django_mailer", beside=True, is_slow=True),
    Subject("Celery, a task per mail", "celery_tasks", beside=True, is_slow=True),
    Subject("django-tasks-db", "tasks_db", beside=True, is_slow=True),
    Subject("EmailMessage.send()", "plain", beside=True, is_slow=True),
)


@dataclass
class Counts:
    """Mails of a round."""

    many: int
    limit: int  # of smtplib, which waits for each reply of a relay that is far away
    few: int

    def of(self, subject):
        if subject.module == "smtp_limit":
            return self.limit
        return self.few if subject.is_slow else self.many


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
        many = 1000 if quick else 3000 if database.name == "MariaDB" else 10_000
        counts = Counts(many, many, 100 if quick else 300)
        measure(figure, database, server, scratch, rounds, counts)
    of_post_office, of_limit = GOALS[database.name]
    figure.ratio_to_best("Flasky", (POST_OFFICE, LARGE_BATCHES), AT_ITS_BEST, of_post_office, at_least=True)
    figure.ratio("Flasky", LIMIT, of_limit, at_least=True)
    return figure


def distance(database, scratch, rounds, quick):
    title = f"Draining over 20 ms, STARTTLS and login, {WORKERS} connections"
    figure = Figure("distance", title, "mails/s", database.name)
    counts = Counts(200, 40, 8) if quick else Counts(400, 100, 20)
    with ExitStack() as stack:
        server = relay.FarAway(scratch)
        stack.callback(server.stop)
        turns = measure(figure, database, server, scratch, rounds, counts)
    figure.ratio_to_best("Flasky", (POST_OFFICE, LARGE_BATCHES), AT_ITS_BEST, 3, at_least=True)
    round_trips = [WORKERS / rate / relay.SECONDS_AWAY for rate in figure.values.get("Flasky", [])]
    what = "Flasky, time in round trips a mail, with connecting and claims"
    figure.check(what, round_trips, None if quick else 1.15, unit="")
    figure.check("Flasky, round trips a mail as the line saw them", [number / counts.many for number in turns], unit="")
    return figure


def measure(figure, database, server, scratch, rounds, counts):
    """Drain by turns, each subject in its own process and with its own database; return Flasky's turns on the line."""
    with ExitStack() as stack:
        children, cpu, turns = {}, {}, []
        for subject in SUBJECTS:
            if database.name == "MariaDB" and subject.beside:
                continue
            if subject.label in (SAME_CORE, OTHER_CORE) and not can_be_placed(server):
                continue
            try:
                children[subject.label] = started(subject, figure, database, server, scratch, stack)
            except Missing as reason:
                figure.notes.append(f"{subject.label}: {reason}")
        for number in range(rounds):
            for subject in SUBJECTS:
                child = children.get(subject.label)
                if child is None or (subject.beside and number >= ROUNDS_BESIDE):
                    continue
                count, before = counts.of(subject), server.turns()
                try:
                    with placed(subject.label, child, server):
                        answer = drain(child, server, count, subject.can_fill)
                except Missing as reason:
                    figure.notes.append(f"{subject.label}: {reason}")
                    del children[subject.label]
                    continue
                figure.add(subject.label, count / answer["seconds"])
                cpu.setdefault(subject.label, []).append(1000 * answer["cpu_seconds"] / count)
                if subject.module == "flasky":
                    turns.append(server.turns() - before)
    figure.notes.append(f"Mails a round: {counts.many:,}; of the slow ones {counts.few:,}, {ROUNDS_BESIDE} rounds")
    spent = ", ".join(f"{label} {median(values):.2f}" for label, values in cpu.items())
    figure.notes.append(f"CPU time of the delivering process, ms a mail: {spent}")
    return turns


def started(subject, figure, database, server, scratch, stack):
    """Return the subject's process, which is warm."""
    environment = databases.settings(
        database.new(), server, peer=subject.module != "flasky", MAIL_WORKERS=str(WORKERS), **subject.settings
    )
    child = Child(f"benchmarks.peers.{subject.module}", scratch, environment)
    stack.callback(child.stop)
    if subject.module == "celery_tasks":
        figure.notes.append(f"Celery's broker: {child.ask('broker')['broker']}")
        stack.callback(remove_from_broker, child)
    drain(child, server, WORKERS, subject.can_fill)
    return child


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


def drain(child, server, count, can_fill):
    child.ask("clear", 120)
    if can_fill:
        child.ask("fill", 120, waiting=count)
    else:
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
