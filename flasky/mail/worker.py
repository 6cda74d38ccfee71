"""Deliver in the background: one thread that looks for work, and a pool of threads that do it."""

import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings
from django.db import connections
from django.utils import timezone

from flasky.mail.delivery import deliver_due, renew_claims
from flasky.mail.models import OutboxMessage
from flasky.mail.transports import TransportUnavailable, close_kept

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1, 60  # s between two probes of a relay that cannot be reached


class Worker:
    """Look for due messages when woken, when the next one is due, and every MAIL_SWEEP_INTERVAL seconds.

    The pool never holds more jobs than it has threads: what waits, waits in the table. While the relay cannot be
    reached, one thread probes it, with growing pauses.
    """

    def __init__(self) -> None:
        self._threads = settings.MAIL_WORKERS
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="mail")
        self._busy = 0
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._trouble = ""
        self._pause = 0.0  # s
        self._probe_at = 0.0  # on the monotonic clock
        self._timer = threading.Thread(target=self._run, name="mail-timer", daemon=True)

    def start(self) -> None:
        # An executor's threads are joined when the interpreter exits; this runs before, and ends them after the mail
        # that they are sending. There is no public hook for that moment: atexit comes too late.
        threading._register_atexit(self.stop)  # type: ignore[attr-defined]
        self._timer.start()

    def wake(self) -> None:
        self._awake.set()

    def stop(self) -> None:
        """Claim nothing more, finish what is on the wire, hang up."""
        with self._lock:
            self._stopping.set()
        self.wake()
        self._pool.shutdown(wait=True)
        if self._timer.is_alive():
            self._timer.join(timeout=5)  # s; it may wait for a locked database
        close_kept()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                pause = self._sweep()
            except Exception:  # a database that is away for a while must not end the thread
                logger.exception("The outbox could not be read; next try in %s s.", settings.MAIL_SWEEP_INTERVAL)
                pause = settings.MAIL_SWEEP_INTERVAL
            self._awake.wait(pause)

    def _sweep(self) -> float:
        """Give due messages to free threads and return the seconds until the next look."""
        try:
            close_kept(idle_only=True)
            renew_claims()
            OutboxMessage.objects.release_expired()
            self._submit(len(OutboxMessage.objects.due().values_list("pk")[: self._free_threads()]))
            return self._seconds_to_next_sweep()
        finally:
            connections.close_all()

    def _free_threads(self) -> int:
        with self._lock:
            if self._trouble:
                return int(self._busy == 0 and time.monotonic() >= self._probe_at)
            return self._threads - self._busy

    def _submit(self, jobs: int) -> None:
        with self._lock:
            if not self._stopping.is_set():
                self._busy += jobs
                for _ in range(jobs):
                    self._pool.submit(self._deliver)

    def _deliver(self) -> None:
        error: Exception | None = None
        try:
            deliver_due(self._stopping.is_set)
        except TransportUnavailable as trouble:
            error = trouble
        except Exception as unexpected:  # an executor keeps exceptions to itself
            logger.exception("A delivering thread failed; the sweep takes up its work.")
            error = unexpected
        finally:
            connections.close_all()
        with self._lock:
            self._busy -= 1
            if isinstance(error, TransportUnavailable):
                self._note_trouble(str(error))
            elif error is None:
                self._note_recovery()
        self.wake()

    def _note_trouble(self, sentence: str) -> None:
        if sentence != self._trouble:
            logger.error("%s Mail waits in the outbox.", sentence)
        self._trouble = sentence
        self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
        self._probe_at = time.monotonic() + self._pause * random.uniform(0.8, 1.2)

    def _note_recovery(self) -> None:
        if self._trouble:
            logger.info("The relay takes mail again.")
        self._trouble, self._pause = "", 0.0

    def _seconds_to_next_sweep(self) -> float:
        """Return when to look again if nobody wakes us; a job that ends does."""
        until: float = settings.MAIL_SWEEP_INTERVAL
        if self._trouble and not self._busy:
            until = min(until, self._probe_at - time.monotonic())
        elif not self._trouble and self._busy < self._threads:
            later = OutboxMessage.objects.next_attempt_after(timezone.now())
            if later is not None:
                until = min(until, (later - timezone.now()).total_seconds())
        return max(until, 0.01)
