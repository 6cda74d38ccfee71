"""Run the drill: read its arguments and print its progress."""

import random
import signal
from argparse import ArgumentTypeError
from importlib.util import find_spec
from shutil import get_terminal_size
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from flasky.drill.conductor import Conductor, Plan
from flasky.drill.relay import FaultyRelay, hang_up_after_each_mail, random_faults, running
from flasky.drill.report import Report
from flasky.drill.scratch import NoScratchDatabase, scratch_database
from flasky.drill.victim import WAYS
from flasky.mail.models import OutboxMessage
from flasky.mail.status.written import cut

MOST_COMPLAINTS = 20  # lines


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(_("%(text)r is no whole number from 1 upwards") % {"text": text[:40]})
    return int(text)


class Command(BaseCommand):
    interrupted = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Show that no mail gets lost: kill workers in the middle of their work, on your database server but in a "
            "database of its own, against a relay of its own."
        )
        how = _("how they deliver, as MAIL_DISPATCHER says; none: with manage.py deliver_mail --loop (threads)")
        hang_up = _("the relay takes every mail and hangs up without a reply: each is held after some copies")
        parser.add_argument("--kills", type=positive, default=20, help=_("how many workers to kill (20)"))
        parser.add_argument("--messages", type=positive, help=_("store at least so many (10 for each kill)"))
        parser.add_argument("--workers", type=positive, default=4, help=_("processes at a time (4)"))
        parser.add_argument("--threads", type=positive, default=4, help=_("in each process (4)"))
        parser.add_argument("--dispatcher", choices=[*WAYS], default="threads", help=how)
        parser.add_argument("--hang-up", action="store_true", help=hang_up)
        parser.add_argument("--seed", type=int, help=_("repeat the choices of an earlier drill"))

    def handle(self, *args: Any, **options: Any) -> None:
        if not hasattr(signal, "SIGKILL"):
            raise CommandError(_("The drill kills with SIGKILL and needs a POSIX system: Linux, macOS, or WSL."))
        seed = random.randrange(1_000_000) if options["seed"] is None else options["seed"]
        kills, workers, threads = options["kills"], options["workers"], options["threads"]
        messages = options["messages"] or 10 * kills
        plan = Plan(kills, messages, workers, threads, seed, options["verbosity"], options["dispatcher"])
        faults = hang_up_after_each_mail if options["hang_up"] else random_faults(seed)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.interrupt)
        try:
            self.drill(plan, FaultyRelay(faults))
        except NoScratchDatabase as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError(_("The drill was stopped, and its database is removed."), returncode=130) from None

    def interrupt(self, number: int, frame: Any) -> None:
        self.interrupted = True  # what is raised while an object is cleared away, Python only prints
        raise KeyboardInterrupt

    def drill(self, plan: Plan, relay: FaultyRelay) -> None:
        sentence = _("%(kills)s kills, %(workers)s workers with %(threads)s threads, seed %(seed)s")
        self.stdout.write(sentence % vars(plan))
        if plan.dispatcher == "celery" and find_spec("celery") is None:
            raise CommandError(
                _('Celery is not here: pip install "flasky-mail[celery]"; for Flasky itself -r requirements-celery.txt')
            )
        with scratch_database(), running(relay):
            conductor = Conductor(plan, relay, self.show)
            conductor.run()
            report = Report(
                stored=conductor.stored,
                messages=list(OutboxMessage.objects.defer("content")),
                accepted=relay.accepted,
                unanswered=relay.unanswered,
                threads=plan.threads,
                kills=[kill.label for kill in conductor.kills],
                recoveries=[kill.recovered_after for kill in conductor.kills if kill.recovered_after is not None],
                seconds=conductor.seconds(),
            )
        self.show("", live=True)
        self.stdout.write(f"\n{report}\n\n")
        self.judge(conductor.complaints + report.complaints)

    def judge(self, complaints: list[str]) -> None:
        if len(complaints) > MOST_COMPLAINTS:
            more = len(complaints) - MOST_COMPLAINTS
            complaints[MOST_COMPLAINTS:] = [
                ngettext("And %(count)s more.", "And %(count)s more.", more) % {"count": more}
            ]
        if complaints:
            raise CommandError("\n".join([_("The promise was broken."), *complaints]))
        self.stdout.write(_("The promise held: nothing was lost, and nothing was repeated in silence."))

    def show(self, line: str, live: bool = False) -> None:
        """Write a line of progress. A live line is for a terminal only, and the next one takes its place."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self.stdout.isatty():
            line = cut(line, get_terminal_size().columns - 1) if live else line
            self.stdout.write(f"\r\033[K{line}", ending="" if live else "\n")
        elif not live:
            self.stdout.write(line)
        self.stdout.flush()
