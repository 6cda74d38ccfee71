"""A process that delivers the drill's mail, as any worker does, until it reaches the point where it has to die."""

import logging
import sys

from django.conf import settings
from django.db import connection

from flasky.mail import delivery, worker
from flasky.mail.drill.points import POINTS, die_at, kill_on_pass

LEASE = 2  # s


def main() -> None:
    database, port, threads, label, number, verbosity = sys.argv[1:]
    connection.settings_dict["NAME"] = database
    talk_to_the_drill(int(port), int(threads))
    make_haste()
    if int(verbosity) < 2:
        logging.disable()
    if label:
        die_at(POINTS[label], kill_on_pass(int(number)))
    deliverer = worker.Worker()
    deliverer.start()
    sys.stdin.read()  # returns when the drill is over, or dead
    deliverer.stop()


def talk_to_the_drill(port: int, threads: int) -> None:
    settings.MAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    settings.MAIL_WORKERS = threads
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", port, 10  # s
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""


def make_haste() -> None:
    """Shorten every pause: a person waits for the end of the drill."""
    settings.MAIL_LEASE = LEASE
    settings.MAIL_SWEEP_INTERVAL = 0.5  # s
    delivery.RETRY_PAUSES = (0.2, 0.5, 1)  # type: ignore[assignment]
    worker.FIRST_PAUSE, worker.LONGEST_PAUSE = 0.1, 0.5  # type: ignore[assignment]
