"""Wake a Celery worker, on any host: a task without arguments, published by a thread of its own.

A broker that refuses takes more than half a second to say so, and a silent one need never answer. So nobody's request
publishes anything: wake() sets an event. A wake-up that is lost is made up for by the workers' own sweep.
"""

import atexit
import logging
import threading
from collections.abc import Iterator
from typing import Any

from celery import Celery, Task, shared_task, signals
from celery.app import default_app
from django.core import checks
from django.utils.translation import gettext_noop as _

from flasky.mail.conf import conf
from flasky.mail.dispatchers import threads
from flasky.mail.runtime.forking import forget_in_child

logger = logging.getLogger(__name__)

BROKERS = ("redis", "rediss", "amqp", "amqps")
TASK = "flasky.mail.deliver"
ANSWERING = 0.003  # s, so that the request that wants the wake-up can answer first: Python runs one thread at a time
BETWEEN_WAKES = 0.05  # s between two wake-ups from this process: a burst needs one
PAUSE = 5  # s between two tries while the broker is away: each takes some ms from the requests
TIMEOUT = 2  # s for connecting to the broker, and for each of its answers
MOST_WAITING = 100  # wake-ups in the queue, of whatever age
EXPIRY = 60  # s after which a wake-up is worth nothing: the sweep has been there long since


class WakeUp(Task):  # type: ignore[misc]
    def apply_async(
        self, args: Any = None, kwargs: Any = None, *, producer: Any = None, connection: Any = None, **options: Any
    ) -> Any:
        """Publish a wake-up, and not if so many wait that nobody takes them. Whoever comes then looks by itself."""
        channel = producer.channel if producer else connection and connection.default_channel
        if channel and self._number_waiting(channel, options) >= MOST_WAITING:
            return None
        return super().apply_async(args, kwargs, producer=producer, connection=connection, **options)

    def _number_waiting(self, channel: Any, options: dict[str, Any]) -> int:
        """Count those in Redis, where nothing goes out of date by itself; RabbitMQ throws them away."""
        if channel.connection.client.transport.driver_type != "redis":
            return 0
        queue = self.app.amqp.router.route(dict(options), self.name)["queue"]
        return int(channel._size(getattr(queue, "name", queue)))


@shared_task(name=TASK, base=WakeUp, ignore_result=True)
def deliver() -> None:
    """Wake the threads of the worker process that gets this task; they are those of MAIL_DISPATCHER=threads."""
    threads.serve()
    threads.wake()


@signals.worker_process_init.connect(weak=False)
def begin(**signal: Any) -> None:
    """Deliver what waits, and sweep, without a beat: in each process of the pool.

    The workers of a project whose servers deliver have other work.
    """
    if is_own or __name__ == conf.MAIL_DISPATCHER:
        threads.serve()


@signals.worker_ready.connect(weak=False)
def begin_without_processes(sender: Any, **signal: Any) -> None:
    """Do the same in the worker itself, if its pool has threads instead of processes."""
    if not sender.pool.uses_semaphore:
        begin()


@signals.worker_process_shutdown.connect(weak=False)
@signals.worker_shutdown.connect(weak=False)
def end(**signal: Any) -> None:
    """Finish what is on the wire."""
    threads.stop()


def app_of_the_project() -> Any:
    """Return the Celery app that the project's package has made when its settings were read; None if it has none."""
    app = default_app._get_current_object()
    return None if app is None or app.main == "default" else app  # `default` is made by Celery, for want of one


def app_of_our_own() -> Any:
    """Return a Celery app for a project that has none; it stays in the background, lest it gets another's tasks."""
    # Without Celery's own help for Django, which after each task closes the pool of connections that our threads use.
    app = Celery("flasky", fixups=[], set_as_current=False)
    app.add_defaults(_configuration)
    return app


def _configuration() -> dict[str, Any]:
    """Return Celery's settings, which it asks for when it needs the first of them."""
    sweep = {"task": TASK, "schedule": conf.MAIL_SWEEP_INTERVAL, "options": {"expires": EXPIRY, "expiration": EXPIRY}}
    return {
        "broker_url": conf.CELERY_BROKER_URL,
        "broker_connection_retry_on_startup": True,
        "task_default_queue": conf.CELERY_TASK_DEFAULT_QUEUE,
        "task_ignore_result": True,
        "worker_concurrency": 1,  # process, with MAIL_WORKERS threads
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "beat_schedule": {"sweep": sweep},
    }


is_own = app_of_the_project() is None
app = app_of_our_own() if is_own else app_of_the_project()


class Publisher:
    """Publish wake-ups from a thread of its own, over one kept connection; however many are wanted at once, one."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._published = threading.Event()
        self._published.set()
        self._stopping = threading.Event()
        self._error = ""
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
            self._stopping.wait(PAUSE if self._error else BETWEEN_WAKES)

    def _publish(self) -> None:
        was_kept = self._connection is not None
        error = self._try_to_publish()
        if error and was_kept:  # it may have ended while nobody used it
            error = self._try_to_publish()
        self._note(error)

    def _try_to_publish(self) -> str:
        """Publish one wake-up, and return what went wrong."""
        try:
            if self._connection is None:
                self._connection = new_connection()
            task = app.tasks[TASK]  # `deliver` would be that of the thread's current app
            task.apply_async(connection=self._connection, retry=False, expires=EXPIRY, expiration=EXPIRY)
        except Exception as error:  # every broker's client has errors of its own
            self._hang_up()
            return f"{type(error).__name__}: {error}"
        return ""

    def _note(self, error: str) -> None:
        """Say once that the broker is away, and once that it is back."""
        if error and not self._error:
            logger.warning("No wake-up can be published (%s); mail leaves with the next sweep. %s", error, ADVICE)
        elif self._error and not error:
            logger.info("Wake-ups are published again.")
        self._error = error

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except Exception:  # it is gone, and that was the aim
            logger.debug("The broker's connection did not close in order.", exc_info=True)


BROKER = "CELERY_BROKER_URL" if is_own else f"broker_url of the Celery app {app.main}"
ADVICE = f"Look at {BROKER}, and whether the broker runs."


def new_connection() -> Any:
    url = conf.CELERY_BROKER_URL if is_own else None  # None: as the project's app has it
    is_amqp = app.connection_for_write(url).transport.driver_type == "amqp"
    limits = ("read_timeout", "write_timeout") if is_amqp else ("socket_timeout", "socket_connect_timeout")
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


def check() -> Iterator[checks.CheckMessage]:
    """Find what is wrong with the settings of our own Celery app; a project's own app may want others in them."""
    if not is_own:
        return
    if wrong := [*conf.check_type("CELERY_BROKER_URL"), *conf.check_type("CELERY_TASK_DEFAULT_QUEUE")]:
        yield from wrong
        return
    scheme, separator, rest = conf.CELERY_BROKER_URL.partition("://")
    if scheme not in BROKERS or not separator or not rest.strip("/"):
        yield checks.Error(
            _("CELERY_BROKER_URL is no URL of a broker. (It is not shown: it may hold a password.)"),
            hint=_("Write redis://127.0.0.1:6379/0 or amqp://user:password@127.0.0.1:5672//"),
            id="flasky.E016",
        )


@forget_in_child
def _forget_the_parents_thread() -> None:
    global _publisher, _starting
    _publisher, _starting = None, threading.Lock()


atexit.register(stop)  # a command that has stored a mail may end before its wake-up has gone out
