import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flasky.mail.delivery import deliver_due
from flasky.mail.models import OutboxMessage, State
from flasky.mail.transports import TransportUnavailable, close_kept
from flasky.mail.worker import Worker


class Command(BaseCommand):
    help = "Deliver everything that is due. Safe to run at any time, many at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or Ctrl-C: a worker of its own")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"]:
            self.work()
        else:
            self.drain()

    def work(self) -> None:
        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        worker = Worker()
        worker.start()
        self.stdout.write("Delivering. Ctrl-C stops after the mails that are on the wire.")
        stopped.wait()
        worker.stop()

    def drain(self) -> None:
        OutboxMessage.objects.release_expired()
        try:
            states = deliver_due()
        except TransportUnavailable as trouble:
            raise CommandError(f"{trouble} Nothing is lost: the mail waits in the outbox.") from None
        finally:
            close_kept()
        waiting = OutboxMessage.objects.filter(state__in=(State.QUEUED, State.SENDING)).count()
        self.stdout.write(
            f"{states[State.SENT]} sent, {states[State.QUEUED]} to be tried again, {states[State.FAILED]} failed; "
            f"{waiting} waiting."
        )
