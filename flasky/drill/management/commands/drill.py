"""Run the drill: read its arguments and print its progress."""

import random
import signal
from argparse import ArgumentTypeError
from importlib.util import find_spec
from shutil import get_terminal_size
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flasky.drill.conductor import Conductor, Plan
from flasky.drill.relay import FaultyRelay, hang_up_after_each_mail, random_faults, running
from flasky.drill.report import Report
from flasky.drill.scratch import NoScratchDatabase, scratch_database
from flasky.drill.victim import WAYS
from flasky.mail.models import OutboxMessage

MOST_COMPLAINTS = 20  # lines


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError("a whole number from 1 upwards")
    return int(text)


class Command(BaseCommand):
    help = (
        "Show that no mail gets lost: kill workers in the middle of their work, on your database server but in a "
        "database of its own, against a relay of its own."
    )

    interrupted = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--kills", type=positive, default=20, help="how many workers to kill (20)")
        parser.add_argument("--messages", type=positive, help="store at least so many (10 for each kill)")
        parser.add_argument("--workers", type=positive, default=4, help="processes at a time (4)")
        parser.add_argument("--threads", type=positive, default=4, help="in each process (4)")
        parser.add_argument(
            "--dispatcher",
            choices=[*WAYS],
            default="threads",
            help="how they deliver, as MAIL_DISPATCHER says; none: with manage.py deliver_mail --loop (threads)",
        )
        parser.add_argument(
            "--hang-up",
            action="store_true",
            help="the relay takes every mail and hangs up without a reply: each is held after some copies",
        )
        parser.add_argument("--seed", type=int, help="repeat the choices of an earlier drill")

    def handle(self, *args: Any, **options: Any) -> None:
        if not hasattr(signal, "SIGKILL"):
            raise CommandError("The drill kills with SIGKILL and needs a POSIX system: Linux, macOS, or WSL.")
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
            raise CommandError("The drill was stopped, and its database is removed.", returncode=130) from None

    def interrupt(self, number: int, frame: Any) -> None:
        self.interrupted = True  # what is raised while an object is cleared away, Python only prints
        raise KeyboardInterrupt

    def drill(self, plan: Plan, relay: FaultyRelay) -> None:
        self.stdout.write(f"{plan.kills} kills, {plan.workers} workers with {plan.threads} threads, seed {plan.seed}")
        if plan.dispatcher == "celery" and find_spec("celery") is None:
            raise CommandError(
                'Celery is not here: pip install "flasky-mail[celery]"; for Flasky itself -r requirements-celery.txt'
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
            complaints[MOST_COMPLAINTS:] = [f"And {len(complaints) - MOST_COMPLAINTS} more."]
        if complaints:
            raise CommandError("\n".join(["The promise was broken.", *complaints]))
        self.stdout.write("The promise held: nothing was lost, and nothing was repeated in silence.")

    def show(self, line: str, live: bool = False) -> None:
        """Write a line of progress. A live line is for a terminal only, and the next one takes its place."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self.stdout.isatty():
            line = line[: get_terminal_size().columns - 1] if live else line
            self.stdout.write(f"\r\033[K{line}", ending="" if live else "\n")
        elif not live:
            self.stdout.write(line)
        self.stdout.flush()
