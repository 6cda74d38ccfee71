"""Deliver in the background: one thread that looks for work, and a pool of threads that do it."""

import contextlib
import logging
import random
import threading
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connections
from django.utils import timezone

from flasky.mail.db.connections import drop_connection
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.pool import Pool
from flasky.mail.delivery.progress import Progress
from flasky.mail.models import Deliverer, OutboxMessage, RelayTrouble, State, this_process
from flasky.mail.signals import swept
from flasky.mail.transports import TransportUnavailable, abort_lent, close_kept, new_transport

logger = logging.getLogger(__name__)

BREATH = 0.003  # s, so that the request that has woken us can answer first: Python runs one thread at a time
FIRST_PAUSE, LONGEST_PAUSE = 1, 60  # s between two probes of a relay that cannot be reached
PAUSE_AFTER_ERROR = 1  # s between two looks into a database that cannot be read
GRACE = 5  # s after an outage for those who have kept a reply to record it: their leases may have run out meanwhile


class Worker:
    """Look for due messages when woken, when the next one is due, and every MAIL_SWEEP_INTERVAL seconds.

    The pool never holds more jobs than it has threads: what waits, waits in the table. While the relay cannot be
    reached, one thread probes it, with growing pauses.
    """

    def __init__(self) -> None:
        self._threads = settings.MAIL_WORKERS
        self._pool = Pool(self._threads, self._deliver)
        self._busy = 0
        self._quiet = threading.Event()  # set while no thread is delivering
        self._quiet.set()
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._is_readable = self._is_tidy = self._has_threads = True
        self._failed_at = float("-inf")  # on the monotonic clock: the database, at last
        self._progress = Progress()
        self._tidy_at = 0.0  # on the monotonic clock
        self._trouble = ""
        self._trouble_noted = True  # perhaps: by a process that is gone
        self._pause = 0.0  # s
        self._probe_at = 0.0  # on the monotonic clock
        self._rest_until = 0.0  # on the monotonic clock: the provider has said for how long it wants no request
        self._timer = threading.Thread(target=self._run, name="mail-timer", daemon=True)

    def start(self) -> None:
        self._timer.start()  # first: a worker whose timer cannot be started leaves nothing behind
        # The pool's threads are joined when the interpreter exits; this runs before, and ends them after the mail that
        # they are sending. There is no public hook for that moment: atexit comes too late.
        threading._register_atexit(self.stop)  # type: ignore[attr-defined]

    def wake(self) -> None:
        self._awake.set()

    def stop(self) -> None:
        """Claim nothing more, finish what is on the wire within MAIL_STOP_TIMEOUT s, release the rest, hang up."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
        self.wake()
        if not self._quiet.wait(settings.MAIL_STOP_TIMEOUT):
            abort_lent()
        self._pool.shutdown()
        if self._timer.is_alive():
            self._timer.join(timeout=5)  # s; it may wait for a locked database
        close_kept()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                pause = self._sweep()
                self._is_readable = True
            except Exception as error:  # a database that is away for a while must not end the thread
                if self._is_readable:
                    logger.exception("The outbox could not be read; trying every %s s.", PAUSE_AFTER_ERROR)
                pause, self._is_readable = PAUSE_AFTER_ERROR, False
                self._note_outage(error)
            if self._awake.wait(pause):
                self._stopping.wait(BREATH)
        with contextlib.suppress(DatabaseFailure):
            Deliverer.objects.sign_off(this_process())
        connections.close_all()

    def _sweep(self) -> float:
        """Give due messages to free threads and return the seconds until the next look."""
        free, must_tidy = self._free_threads(), time.monotonic() >= self._tidy_at
        try:
            found = self._look(free) if free or must_tidy else []
            queued, now = [moment for state, moment in found if state == State.QUEUED], timezone.now()
            due = sum(moment <= now for moment in queued)
            if (free or must_tidy) and not due and not self._busy:
                self._progress.made()
            if must_tidy:
                self._try_to_tidy(found)
        finally:
            close_old_connections()
        self._submit(min(free, due))
        later = [moment for moment in queued if moment > now]
        return self._seconds_to_next_sweep(later[0] if free and later else None)

    def _look(self, free: int) -> list[tuple[str, datetime]]:
        """Return the first messages that are not finished, with one query: an idle process asks nothing else."""
        unfinished = OutboxMessage.objects.unfinished().values_list("state", "next_attempt_at")
        return list(unfinished[: free + 1])

    def _try_to_tidy(self, found: list[tuple[str, datetime]]) -> None:
        try:
            self._tidy(found)
            self._is_tidy = True
        except Exception as error:  # mail leaves all the same, if it can
            if self._is_tidy:
                logger.exception("No sign of life could be written; trying every %s s.", settings.MAIL_SWEEP_INTERVAL)
            self._is_tidy = False
            self._note_outage(error)

    def _note_outage(self, error: Exception) -> None:
        """Take no one's lease for a while, and go on with a new connection. An outage is no fault of the threads."""
        self._failed_at = time.monotonic()
        self._progress.made()
        drop_connection(error)

    def _tidy(self, found: list[tuple[str, datetime]]) -> None:
        """Do what is due every MAIL_SWEEP_INTERVAL seconds, however often the worker is woken."""
        self._tidy_at = time.monotonic() + settings.MAIL_SWEEP_INTERVAL
        close_kept(idle_only=True)
        Deliverer.objects.sign(this_process(), self._threads, self._progress.stuck_for())
        swept.send_robust(sender=type(self))
        if not found:
            return
        is_calm = time.monotonic() - self._failed_at >= GRACE
        if is_calm and OutboxMessage.objects.release_expired():
            self.wake()
        state, due_at = found[0]
        waited = (timezone.now() - due_at).total_seconds()
        if state == State.QUEUED and waited > settings.MAIL_OVERDUE:
            logger.warning("The oldest due message has waited for %d s: nobody delivers, or not fast enough.", waited)

    def _free_threads(self) -> int:
        with self._lock:
            if self._trouble:
                return int(self._busy == 0 and time.monotonic() >= self._probe_at)
            return self._threads - self._busy

    def _submit(self, jobs: int) -> None:
        with self._lock:
            while jobs and not self._stopping.is_set() and self._submit_one():
                jobs -= 1

    def _submit_one(self) -> bool:
        """Give one job to the pool and count it; return False if no thread can be started for it."""
        try:
            self._pool.do()
        except (RuntimeError, MemoryError) as error:
            self._note_shortage(error)
            return False
        self._busy += 1
        self._quiet.clear()
        self._has_threads = True
        return True

    def _note_shortage(self, error: Exception) -> None:
        self._progress.failed()
        if self._has_threads:
            logger.error(
                "No thread can be started to deliver (%s); the next look tries again. Raise the limit of threads or "
                "memory: ulimit -u, the container's pids limit, TasksMax.",
                error or type(error).__name__,
            )
        self._has_threads = False

    def _note_delivery(self) -> None:
        self._progress.made()
        self._note_recovery()

    def _deliver(self) -> None:
        try:
            deliver_due(self._must_rest, self._note_delivery)
            self._progress.made()
        except TransportUnavailable as trouble:
            self._progress.made()
            self._note_trouble(str(trouble), trouble.retry_after)
        except Exception as error:  # an executor keeps exceptions to itself
            self._progress.failed()
            drop_connection(error)
            if self._is_news(f"{type(error).__name__}: {error}"):
                logger.exception("A delivering thread failed; the next one tries again after a pause.")
        finally:
            close_old_connections()
            with self._lock:
                self._busy -= 1
                if not self._busy:
                    self._quiet.set()
            self.wake()

    def _must_rest(self) -> bool:
        """Tell a thread, which lives if it asks."""
        self._progress.heard()
        return self._stopping.is_set() or time.monotonic() < self._rest_until

    def _note_trouble(self, reason: str, wanted_pause: float | None = None) -> None:
        if self._stopping.is_set():
            return
        if self._is_news(reason, wanted_pause):
            logger.error("%s Mail waits in the outbox.", reason)
        next_probe_at = timezone.now() + timedelta(seconds=self._probe_at - time.monotonic())
        with contextlib.suppress(DatabaseFailure):  # who reads it then has other worries
            RelayTrouble.objects.note(new_transport().server.name, reason, next_probe_at)
            self._trouble_noted = True

    def _is_news(self, reason: str, wanted_pause: float | None = None) -> bool:
        """Plan the next probe; the threads that meet the same trouble meanwhile do not prolong the pause.

        A pause that the other side wants is none of ours: no thread asks before its end.
        """
        with self._lock:
            is_news, self._trouble = reason != self._trouble, reason
            if wanted_pause is not None:
                self._rest_until = max(self._rest_until, time.monotonic() + wanted_pause * random.uniform(1, 1.1))
                self._probe_at = max(self._probe_at, self._rest_until)
            elif time.monotonic() >= self._probe_at:
                self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
                self._probe_at = time.monotonic() + self._pause * random.uniform(0.8, 1.2)
        return is_news

    def _note_recovery(self) -> None:
        with self._lock:
            # A relay that takes fewer connections than we have threads refuses one and serves the others: whoever was
            # refused must not knock again at each acceptance.
            if self._trouble and time.monotonic() < self._probe_at:
                return
            trouble, noted = self._trouble, self._trouble_noted
            self._trouble, self._trouble_noted, self._pause = "", False, 0.0
        if trouble:
            logger.info("The relay takes mail again.")
            self.wake()  # the other threads can go on
        if noted:
            try:
                RelayTrouble.objects.clear(new_transport().server.name)
            except DatabaseFailure:  # the mail that was taken is recorded; the next one that is clears this
                self._trouble_noted = True

    def _seconds_to_next_sweep(self, next_attempt_at: datetime | None) -> float:
        """Return when to look again if nobody wakes us; a job that ends does."""
        until = max(self._tidy_at - time.monotonic(), 0)
        if self._trouble and self._probe_at > time.monotonic():
            until = min(until, self._probe_at - time.monotonic())
        elif next_attempt_at is not None:
            until = min(until, (next_attempt_at - timezone.now()).total_seconds())
        return max(until, 0.01)
