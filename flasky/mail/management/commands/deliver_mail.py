import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils import timezone

from flasky.mail.delivery import deliver_due
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import Attempt, OutboxMessage, RelayTrouble, State
from flasky.mail.transports import TransportUnavailable, abort_lent, close_kept, new_transport

LOOK_INTERVAL = 0.2  # s between two looks at what the threads have done
BAR = 30  # characters
NO_THREAD = (
    "No thread can be started to deliver ({}). Raise the limit of threads or memory: ulimit -u, the container's pids "
    "limit, TasksMax. Nothing is lost: the mail waits in the outbox."
)


class Command(BaseCommand):
    help = (
        "Deliver everything that is due. Safe to run at any time, many at once. The exit status is 1 if mail is left."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or Ctrl-C: a worker of its own")

    def handle(self, *args: Any, **options: Any) -> None:
        self.signal = 0
        self.trouble = ""
        with self.signals_noted():
            if options["loop"]:
                self.work()
            else:
                self.drain()

    @contextlib.contextmanager
    def signals_noted(self) -> Iterator[None]:
        """Stop in order on SIGINT and SIGTERM."""

        def note(number: int, frame: Any) -> None:
            self.signal = number  # and no more: a lock here would wait for ever if the next signal came meanwhile

        if threading.current_thread() is not threading.main_thread():  # no other thread hears signals
            yield
            return
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def work(self) -> None:
        worker = Worker()
        try:
            worker.start()
        except (RuntimeError, MemoryError) as error:
            raise CommandError(NO_THREAD.format(error)) from error
        self.stdout.write("Delivering. Ctrl-C stops after the mails that are on the wire.")
        while not self.signal:
            time.sleep(LOOK_INTERVAL)
        worker.stop()

    def drain(self) -> None:
        OutboxMessage.objects.release_expired()
        last_attempt = Attempt.objects.order_by("pk").values_list("pk", flat=True).last() or 0
        try:
            with self.progress() as show:
                self.deliver_with_threads(show)
        finally:
            close_kept()
        states = states_of_what_was_tried_after(last_attempt)
        if states and not self.trouble:
            RelayTrouble.objects.clear(new_transport().server.name)
        self.report(states)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[int], None]]:
        """Give a function that draws the progress bar: on a terminal only, which shows no line for each mail then."""
        if not self.stdout.isatty():
            yield lambda total: None
            return
        logging.disable(logging.INFO)
        try:
            yield self.draw
        finally:
            logging.disable(logging.NOTSET)
            self.stdout.write("\x1b[K", ending="")

    def draw(self, total: int) -> None:
        done = max(total - OutboxMessage.objects.due().count(), 0)
        bar = "#" * (BAR * done // total)
        # The cursor goes back to the start of the line: a warning that is logged meanwhile overwrites the bar.
        self.stdout.write(f"\x1b[K[{bar:.<{BAR}}] {done} of {total}", ending="\r")
        self.stdout.flush()

    def deliver_with_threads(self, show: Callable[[int], None]) -> None:
        total = OutboxMessage.objects.due().count()
        stop_by = 0.0  # on the monotonic clock
        with ThreadPoolExecutor(settings.MAIL_WORKERS, thread_name_prefix="mail") as pool:
            jobs = self.jobs(pool, min(total, settings.MAIL_WORKERS))
            while wait(jobs, timeout=LOOK_INTERVAL).not_done:
                show(total)
                if self.signal:
                    stop_by = stop_by or time.monotonic() + settings.MAIL_STOP_TIMEOUT
                    if time.monotonic() > stop_by:
                        abort_lent()
        for job in jobs:
            job.result()  # raises what was raised in the thread

    def jobs(self, pool: ThreadPoolExecutor, most: int) -> list[Future[None]]:
        """Start up to so many; fewer if the machine has no thread more for us, and one at least."""
        jobs: list[Future[None]] = []
        try:
            for _ in range(most):
                jobs.append(pool.submit(self.deliver))
        except (RuntimeError, MemoryError) as error:
            if not jobs:
                raise CommandError(NO_THREAD.format(error)) from error
        return jobs

    def deliver(self) -> None:
        try:
            deliver_due(self.must_stop)
        except TransportUnavailable as trouble:
            self.trouble = self.trouble or said_of(trouble)
        finally:
            connections.close_all()

    def must_stop(self) -> bool:
        return bool(self.signal or self.trouble)

    def report(self, states: Counter[str]) -> None:
        waiting = OutboxMessage.objects.filter(state__in=(State.QUEUED, State.SENDING)).count()
        self.stdout.write(
            f"{states[State.SENT]} sent, {states[State.QUEUED]} to be tried again, {states[State.FAILED]} failed"
            f"{f', {states[State.HELD]} held' if states[State.HELD] else ''}; {waiting} waiting."
        )
        if self.signal:
            name = signal.Signals(self.signal).name
            raise CommandError(f"Stopped by {name}; what waits stays in the outbox.", returncode=128 + self.signal)
        if self.trouble:
            raise CommandError(f"{self.trouble} Nothing is lost: the mail waits in the outbox.")
        if left := what_is_left(states[State.FAILED], states[State.HELD]):
            stuck = states[State.FAILED] or states[State.HELD]
            again = " The admin shows why; manage.py requeue_mail tries again." if stuck else ""
            raise CommandError(f"Not everything is delivered: {', '.join(left)}.{again}")


def said_of(trouble: TransportUnavailable) -> str:
    pause = f" It asks for a pause of {trouble.retry_after:.0f} s." if trouble.retry_after else ""
    return f"{trouble}{pause}"


def states_of_what_was_tried_after(last_attempt: int) -> Counter[str]:
    """Return how many messages are in which state now, of those that this process has tried to deliver.

    The history knows: deliver_due() returns nothing when the relay goes away in its midst.
    """
    ours = f"{socket.gethostname()} {os.getpid()} "
    tried = Attempt.objects.filter(pk__gt=last_attempt, worker__startswith=ours)
    return Counter(dict(tried.values_list("message_id", "message__state")).values())


def what_is_left(failed: int, held: int) -> list[str]:
    now = timezone.now()
    queued = OutboxMessage.objects.filter(state=State.QUEUED, queued_at__lte=now)  # what is meant for later is not left
    due, first_later = queued.filter(next_attempt_at__lte=now).count(), queued.next_attempt_after(now)
    left = [f"{failed} refused for good"] if failed else []
    if held:
        left.append(f"{held} held until a person decides")
    if due:
        left.append(f"{due} still due")
    if first_later:
        later = queued.filter(next_attempt_at__gt=now).count()
        left.append(f"{later} to be tried again, from {first_later:%Y-%m-%d %H:%M:%S %Z} on")
    return left
