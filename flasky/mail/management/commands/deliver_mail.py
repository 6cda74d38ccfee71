"""Deliver what is due, once or for ever: read the arguments, show the progress, print what was done."""

import contextlib
import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.delivery.drain import LOOK_INTERVAL, Drain, NoThread
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import OutboxMessage, State
from flasky.mail.runtime import clock
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.status.written import joined, listed, moment
from flasky.mail.transports import TransportUnavailable

BAR = 30  # characters
NO_THREAD = gettext_lazy(
    "No thread can be started to deliver (%(error)s). Raise the limit of threads or memory: ulimit -u, the container's "
    "pids limit, TasksMax. Nothing is lost: the mail waits in the outbox."
)


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Deliver everything that is due. Safe to run at any time, many at once. The exit status is 1 if mail is "
            "left."
        )
        parser.add_argument("--loop", action="store_true", help=_("go on until SIGTERM or Ctrl-C: a worker of its own"))

    def handle(self, *args: Any, **options: Any) -> None:
        self.signal = 0
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
            raise CommandError(NO_THREAD % {"error": error}) from error
        self.stdout.write(_("Delivering. Ctrl-C stops after the mails that are on the wire."))
        self.stdout.flush()  # where it is no terminal it would be read when the worker has ended
        while not self.signal:
            time.sleep(LOOK_INTERVAL)
        worker.stop()

    def drain(self) -> None:
        drain = Drain(self.has_signal)
        try:
            with self.progress() as show:
                states = drain.run(show)
        except NoThread as error:
            raise CommandError(NO_THREAD % {"error": error}) from error
        self.report(states, drain.outage)

    def has_signal(self) -> bool:
        return bool(self.signal)

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
        counted = _("%(done)s of %(total)s") % {"done": done, "total": total}
        self.stdout.write(f"\x1b[K[{bar:.<{BAR}}] {counted}", ending="\r")
        self.stdout.flush()

    def report(self, states: Counter[str], outage: TransportUnavailable | None) -> None:
        waiting = OutboxMessage.objects.filter(state__in=State.waiting()).count()
        sentence = _("%(sent)s sent, %(queued)s to be tried again, %(failed)s failed; %(waiting)s waiting.")
        if states[State.HELD]:
            sentence = _(
                "%(sent)s sent, %(queued)s to be tried again, %(failed)s failed, %(held)s held; %(waiting)s waiting."
            )
        counts = {state.value: states[state] for state in State}
        self.stdout.write(sentence % {**counts, "waiting": waiting})
        if self.signal:
            name = signal.Signals(self.signal).name
            sentence = _("Stopped by %(signal)s; what waits stays in the outbox.") % {"signal": name}
            raise CommandError(sentence, returncode=128 + self.signal)
        if outage:
            raise CommandError(joined(said_of(outage), _("Nothing is lost: the mail waits in the outbox.")))
        if left := what_is_left(states[State.FAILED], states[State.HELD]):
            stuck = any(states[state] for state in State.needing_a_person())
            sentence = _("Not everything is delivered: %(left)s.") % {"left": listed(left)}
            again = _("The admin shows why; manage.py requeue_mail tries again.") if stuck else ""
            raise CommandError(joined(sentence, again))


def said_of(error: TransportUnavailable) -> str:
    seconds = round(error.retry_after or 0)
    pause = _("It asks for a pause of %(seconds)s s.") % {"seconds": seconds} if seconds else ""
    return joined(in_their_words(str(error)), pause)


def what_is_left(failed: int, held: int) -> list[str]:
    now = clock.now()
    queued = OutboxMessage.objects.filter(state=State.QUEUED, queued_at__lte=now)  # what is meant for later is not left
    due, first_later = queued.filter(next_attempt_at__lte=now).count(), queued.next_attempt_after(now)
    left = [_("%(count)s refused for good") % {"count": failed}] if failed else []
    if held:
        left.append(_("%(count)s held until a person decides") % {"count": held})
    if due:
        left.append(_("%(count)s still due") % {"count": due})
    if first_later:
        later = queued.filter(next_attempt_at__gt=now).count()
        left.append(
            _("%(count)s to be tried again, from %(moment)s on") % {"count": later, "moment": moment(first_later)}
        )
    return left
