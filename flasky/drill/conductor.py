"""Store mail, start workers that die, replace them, and watch until everything has come to an end."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from importlib import import_module

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from flasky.drill.crash_points import POINTS
from flasky.drill.relay import FaultyRelay
from flasky.drill.scratch import outbox_connection
from flasky.mail import dispatchers
from flasky.mail.models import OutboxMessage, State
from flasky.mail.runtime.identity import before_threads
from flasky.mail.status.written import listed, number

VICTIM = "import django; django.setup(); from flasky.drill.victim import main; main()"
UNHARMED = ""
STOP_TIMEOUT = 5  # s
NAMED = 4  # messages of a dead worker in its line


@dataclass
class Plan:
    kills: int
    messages: int
    workers: int
    threads: int
    seed: int
    verbosity: int = 1
    dispatcher: str = "threads"

    @property
    def deadline(self) -> int:
        return 60 + 5 * self.kills  # s


@dataclass
class Kill:
    """A worker's death, and the messages that it was busy with."""

    pid: int
    label: str
    messages: list[int]
    at: float = field(default_factory=time.monotonic)
    recovered_after: float | None = None  # s


class Conductor:
    def __init__(self, plan: Plan, relay: FaultyRelay, show: Callable[..., None]) -> None:
        self.plan, self.relay, self.show = plan, relay, show
        self.dice = random.Random(plan.seed)
        self.labels = [list(POINTS)[number % len(POINTS)] for number in range(plan.kills)]
        self.dice.shuffle(self.labels)
        self.workers: dict[subprocess.Popen[bytes], str] = {}
        self.stored: dict[int, str] = {}  # Message-IDs by primary key
        self.kills: list[Kill] = []
        self.mishaps: list[str] = []
        self.started = time.monotonic()
        self.queue = f"mail-drill-{os.getpid()}"  # of Celery: the project's own workers must not hear of the drill

    def run(self) -> None:
        settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.none"  # nobody delivers but the workers
        settings.MAIL_BUDGET_RECIPIENT = settings.MAIL_BUDGET_KIND = settings.MAIL_BUDGET_TOTAL = ()
        with self.waking_celery() if self.plan.dispatcher == "celery" else nullcontext():
            self.conduct()

    @contextmanager
    def waking_celery(self) -> Iterator[None]:
        import_module("flasky.drill.celery_queue").use(self.queue)
        settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.celery"
        try:
            yield
        finally:
            dispatchers.stop()

    def conduct(self) -> None:
        try:
            while not (self.is_finished() or self.mishaps or self.seconds() > self.plan.deadline):
                self.store_messages()
                self.start_workers()
                self.note_deaths()
                self.note_recoveries()
                self.show(self.progress(), live=True)
                time.sleep(0.05)
        finally:
            self.dismiss_workers()
        self.note_recoveries()

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def is_finished(self) -> bool:
        return (
            len(self.kills) == self.plan.kills
            and len(self.stored) >= self.plan.messages
            and not OutboxMessage.objects.unfinished().exists()
        )

    def store_messages(self) -> None:
        """Keep every worker busy until all have died and enough was stored."""
        batch = self.plan.workers * self.plan.threads
        enough = len(self.kills) == self.plan.kills and len(self.stored) >= self.plan.messages
        if not enough and OutboxMessage.objects.due().count() < 2 * batch:
            with transaction.atomic(using=outbox_connection().alias):
                for _each in range(batch):
                    self.store_message()

    def store_message(self) -> None:
        email = EmailMultiAlternatives("Drill", "Plain text.\n" * 50, to=["drill@example.com"])
        email.attach_alternative("<p>HTML.</p>\n" * 50, "text/html")
        email.send()
        message: OutboxMessage = email.outbox_message  # type: ignore[attr-defined]
        self.stored[message.pk] = message.message_id

    def start_workers(self) -> None:
        while len(self.workers) < self.plan.workers:
            label = self.labels.pop() if self.labels else UNHARMED
            self.workers[self.start_worker(label)] = label

    def start_worker(self, label: str) -> "subprocess.Popen[bytes]":
        plan, database = self.plan, outbox_connection().settings_dict["NAME"]
        arguments = [database, self.relay.port, plan.threads, label, self.dice.randint(1, 3), plan.verbosity]
        arguments += [plan.dispatcher, self.queue]
        return subprocess.Popen(  # noqa: S603 (nothing here comes from outside)
            [sys.executable, "-c", VICTIM.format(sys.path), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=None if plan.verbosity > 1 else subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the drill, which then closes the pipe
        )

    def note_deaths(self) -> None:
        for process, label in list(self.workers.items()):
            if process.poll() is None:
                continue
            del self.workers[process]
            if label == UNHARMED or process.returncode != -signal.SIGKILL:
                sentence = _("A worker ended by itself, with exit status %(status)s.")
                self.mishaps.append(sentence % {"status": process.returncode})
            else:
                self.note_kill(Kill(process.pid, label, self.messages_of(process.pid)))

    def messages_of(self, pid: int) -> list[int]:
        claimed = OutboxMessage.objects.filter(state=State.SENDING, claimed_by__startswith=before_threads(pid))
        return list(claimed.values_list("pk", flat=True))

    def note_kill(self, kill: Kill) -> None:
        self.kills.append(kill)
        sentence = _("%(progress)s; worker %(pid)s killed %(point)s, holding %(messages)s")
        values = {"pid": kill.pid, "point": translation.gettext(kill.label), "messages": named(kill.messages)}
        self.show(sentence % {"progress": self.progress(), **values})

    def progress(self) -> str:
        sentence = _("%(seconds)s s  %(killed)s of %(kills)s killed, %(stored)s messages stored, %(accepted)s accepted")
        return sentence % {
            "seconds": number(self.seconds(), 1).rjust(5),
            "killed": len(self.kills),
            "kills": self.plan.kills,
            "stored": len(self.stored),
            "accepted": len(self.relay.accepted),
        }

    def note_recoveries(self) -> None:
        """Look whose messages have all been claimed by somebody else since, or have come to an end."""
        holders = dict(OutboxMessage.objects.unfinished().values_list("pk", "claimed_by"))
        for kill in self.kills:
            orphans = [pk for pk in kill.messages if holders.get(pk, "").startswith(before_threads(kill.pid))]
            if kill.messages and not orphans and kill.recovered_after is None:
                kill.recovered_after = time.monotonic() - kill.at

    def dismiss_workers(self) -> None:
        for process in self.workers:
            with suppress(OSError):  # it may have died
                process.stdin.close()  # type: ignore[union-attr]
        deadline = time.monotonic() + STOP_TIMEOUT
        for process in self.workers:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def complaints(self) -> list[str]:
        missing = self.plan.kills - len(self.kills)
        sentence = _("%(missing)s of %(kills)s kills did not come about.")
        return self.mishaps + ([sentence % {"missing": missing, "kills": self.plan.kills}] if missing else [])


def named(messages: list[int]) -> str:
    first, more = listed(map(str, messages[:NAMED])), len(messages) - NAMED
    if more <= 0:
        return first or _("nothing")
    sentence = ngettext("%(numbers)s and %(count)s more", "%(numbers)s and %(count)s more", more)
    return sentence % {"numbers": first, "count": more}
