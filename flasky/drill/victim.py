"""Deliver the drill's mail in a process of its own, until it comes to where it has to die."""

import logging
import os
import signal
import sys
import threading
from importlib import import_module

from django.conf import settings
from django.core.management import call_command

from flasky.drill.crash_points import POINTS, die_at, kill_on_pass
from flasky.drill.scratch import outbox_connection
from flasky.mail import dispatchers
from flasky.mail.delivery import retries, worker
from flasky.mail.dispatchers import threads

LEASE = 2  # s
BETWEEN_REQUESTS = 0.05  # s


def main() -> None:
    database, port, thread_count, label, number, verbosity, dispatcher, queue = sys.argv[1:]
    outbox_connection().settings_dict["NAME"] = database
    talk_to_the_drill(int(port), int(thread_count))
    make_haste()
    if int(verbosity) < 2:
        logging.disable()
    if label:
        die_at(POINTS[label], kill_on_pass(int(number)))
    settings.MAIL_DISPATCHER = f"flasky.mail.dispatchers.{dispatcher}"
    WAYS[dispatcher](queue)


def serve_with_threads(queue: str) -> None:
    threads.serve()
    wait_for_the_end()
    threads.stop()


def work_as_command(queue: str) -> None:
    terminate_at_the_end()
    call_command("deliver_mail", loop=True)


def deliver_inline(queue: str) -> None:
    """Do what a request does that has stored a mail, again and again."""
    until_the_end = threading.Thread(target=wait_for_the_end, daemon=True)
    until_the_end.start()
    while until_the_end.is_alive():
        dispatchers.wake()
        until_the_end.join(BETWEEN_REQUESTS)


def work_for_celery(queue: str) -> None:
    import_module("flasky.drill.celery_queue").use(queue)
    app = import_module("flasky.mail.dispatchers.celery").app
    terminate_at_the_end()
    quiet = ["--loglevel=CRITICAL", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(["worker", "--pool=solo", f"--hostname=drill-{os.getpid()}@%h", *quiet])


WAYS = {
    "threads": serve_with_threads,
    "none": work_as_command,
    "inline": deliver_inline,
    "celery": work_for_celery,
}


def wait_for_the_end() -> None:
    sys.stdin.read()  # returns when the drill is over, or dead


def terminate_at_the_end() -> None:
    def terminate() -> None:
        wait_for_the_end()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate, daemon=True).start()


def talk_to_the_drill(port: int, thread_count: int) -> None:
    settings.MAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    settings.MAIL_WORKERS = thread_count
    settings.MAIL_SERVER, settings.MAIL_PORT, settings.MAIL_TIMEOUT = "127.0.0.1", port, 10  # s
    settings.MAIL_USE_TLS = settings.MAIL_USE_SSL = False
    settings.MAIL_USERNAME = settings.MAIL_PASSWORD = ""


def make_haste() -> None:
    """Shorten every pause: a person waits for the end of the drill."""
    settings.MAIL_LEASE = LEASE
    settings.MAIL_SWEEP_INTERVAL = 0.5  # s
    retries.RETRY_PAUSES = (0.2, 0.5, 1)  # type: ignore[assignment]
    worker.FIRST_PAUSE, worker.LONGEST_PAUSE = 0.1, 0.5  # type: ignore[assignment]
