"""Wake a Celery worker, on any host: a task without arguments, published by a thread of its own.

A broker that refuses takes more than half a second to say so, and a silent one need never answer. So nobody's request
publishes anything: wake() sets an event. A wake-up that is lost is made up for by the workers' own sweep.
"""

import atexit
import logging
import os
import threading
from typing import Any

from celery import Celery
from django.conf import settings

from flasky.mail.dispatchers import threads

logger = logging.getLogger(__name__)

TASK = "flasky.mail.deliver"
ANSWERING = 0.003  # s, so that the request that wants the wake-up can answer first: Python runs one thread at a time
BREATH = 0.05  # s between two wake-ups from this process: a burst needs one
PAUSE = 5  # s between two tries while the broker is away: each takes some ms from the requests
TIMEOUT = 2  # s for connecting to the broker, and for each of its answers
EXPIRY = 60  # s after which a wake-up is worth nothing: the sweep has been there long since

# Without Celery's own help for Django: after each task it closes the pool of connections that our threads are using.
app = Celery("flasky", fixups=[])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_default_queue=settings.CELERY_TASK_DEFAULT_QUEUE,
    task_ignore_result=True,
    worker_concurrency=1,  # process, with MAIL_WORKERS threads
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    beat_schedule={"sweep": {"task": TASK, "schedule": settings.MAIL_SWEEP_INTERVAL, "options": {"expires": EXPIRY}}},
)
app.conf.broker_url = settings.CELERY_BROKER_URL


@app.task(name=TASK)
def deliver() -> None:
    """Wake the threads of the worker process that gets this task; they are those of MAIL_DISPATCHER=threads."""
    threads.serve()
    threads.wake()


class Publisher:
    """Publish wake-ups from a thread of its own, over one kept connection; however many are wanted at once, one."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._published = threading.Event()
        self._published.set()
        self._stopping = threading.Event()
        self._trouble = ""
        self._connection: Any = None
        self._thread = threading.Thread(target=self._run, name="mail-publisher", daemon=True)
        self._thread.start()

    def lives(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        self._published.clear()
        self._wanted.set()

    def stop(self) -> None:
        """Let the last wake-up go out, if the broker is quick, and end the thread."""
        self._published.wait(TIMEOUT)
        self._stopping.set()
        self._wanted.set()
        self._thread.join(TIMEOUT)

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._stopping.wait(ANSWERING)
            self._wanted.clear()
            if self._stopping.is_set():
                self._hang_up()
                return
            self._publish()
            self._published.set()
            self._stopping.wait(PAUSE if self._trouble else BREATH)

    def _publish(self) -> None:
        was_kept = self._connection is not None
        trouble = self._try_to_publish()
        if trouble and was_kept:  # it may have ended while nobody used it
            trouble = self._try_to_publish()
        self._note(trouble)

    def _try_to_publish(self) -> str:
        """Publish one wake-up, and return what went wrong."""
        try:
            if self._connection is None:
                self._connection = new_connection()
            deliver.apply_async(connection=self._connection, retry=False, expires=EXPIRY, expiration=EXPIRY)
        except Exception as error:  # every broker's client has errors of its own
            self._hang_up()
            return f"{type(error).__name__}: {error}"
        return ""

    def _note(self, trouble: str) -> None:
        """Say once that the broker is away, and once that it is back."""
        if trouble and not self._trouble:
            logger.warning("No wake-up can be published (%s); mail leaves with the next sweep. %s", trouble, ADVICE)
        elif self._trouble and not trouble:
            logger.info("Wake-ups are published again.")
        self._trouble = trouble

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except Exception:  # it is gone, and that was the aim
            logger.debug("The broker's connection did not close in order.", exc_info=True)


ADVICE = "Look at CELERY_BROKER_URL, and whether the broker runs."


def new_connection() -> Any:
    url = settings.CELERY_BROKER_URL
    limits = (
        ("read_timeout", "write_timeout") if url.startswith("amqp") else ("socket_timeout", "socket_connect_timeout")
    )
    options = {**dict.fromkeys(limits, TIMEOUT), "max_retries": 0}
    return app.connection_for_write(url, connect_timeout=TIMEOUT, transport_options=options)


_publisher: Publisher | None = None
_starting = threading.Lock()


def wake() -> None:
    global _publisher
    publisher = _publisher
    if publisher is None or not publisher.lives():
        with _starting:
            if _publisher is None or not _publisher.lives():
                _publisher = Publisher()
            publisher = _publisher
    publisher.wake()


def serve() -> None:
    """Start nothing: whoever serves requests leaves delivery to the Celery workers."""


def stop() -> None:
    global _publisher
    publisher, _publisher = _publisher, None
    if publisher is not None:
        publisher.stop()


def _forget_the_parents_thread() -> None:
    global _publisher, _starting
    _publisher, _starting = None, threading.Lock()


atexit.register(stop)  # a command that has stored a mail may end before its wake-up has gone out
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_the_parents_thread)
