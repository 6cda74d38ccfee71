"""Deliver in the background: one thread that looks for work, and a pool of threads that do it."""

import contextlib
import logging
import random
import threading
import time
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure
from django.db import close_old_connections, connections

from flasky.mail.conf import conf
from flasky.mail.db.connections import drop_connection
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.pool import Pool
from flasky.mail.delivery.progress import Progress
from flasky.mail.delivery.pruning import DailyPruning
from flasky.mail.delivery.timekeeping import Timekeeper
from flasky.mail.digests.making import make_digests
from flasky.mail.limits.releasing import release_what_fits
from flasky.mail.models import OutboxMessage, Process, RelayOutage, State
from flasky.mail.runtime import clock
from flasky.mail.runtime.background import work_in_background
from flasky.mail.runtime.identity import this_process
from flasky.mail.signals import swept
from flasky.mail.transports import TransportUnavailable, abort_lent, close_kept, relay_name

logger = logging.getLogger(__name__)

YIELD = 0.003  # s, so that the request that has woken us can answer first: Python runs one thread at a time
FIRST_PAUSE, LONGEST_PAUSE = 1, 60  # s between two probes of a relay that cannot be reached
FIRST_PAUSE_OF_ACCOUNT, LONGEST_PAUSE_OF_ACCOUNT = 60, 3600  # s; providers count what comes while it may not send
PAUSE_AFTER_ERROR = 1  # s between two looks into a database that cannot be read
GRACE = 5  # s after an outage for those who have kept a reply to record it: their leases may have run out meanwhile


class Worker:
    """Look for due messages when woken, when the next one is due, and every MAIL_SWEEP_INTERVAL seconds.

    The pool never holds more jobs than it has threads: what waits, waits in the table. While the relay cannot be
    reached, one thread probes it, with growing pauses.
    """

    def __init__(self) -> None:
        self._threads = conf.MAIL_WORKERS
        self._pool = Pool(self._threads, self._deliver)
        self._busy = 0
        self._quiet = threading.Event()  # set while no thread is delivering
        self._quiet.set()
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._is_readable = self._is_maintained = self._has_threads = True
        self._failed_at = float("-inf")  # on the monotonic clock: the database, at last
        self._progress = Progress()
        self._pruning = DailyPruning()
        self._timekeeper = Timekeeper()
        self._maintain_at = 0.0  # on the monotonic clock
        self._outage = ""
        self._outage_noted = True  # perhaps: by a process that is gone
        self._pause = 0.0  # s
        self._probe_at = 0.0  # on the monotonic clock
        self._probe_asked: datetime | None = None  # the time of the last probe that was asked for, which is done once
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
        """Claim nothing more, finish what is on the wire within MAIL_STOP_TIMEOUT s, give back the rest, hang up."""
        with self._lock:
            if self._stopping.is_set():
                return
            self._stopping.set()
        self.wake()
        if not self._quiet.wait(conf.MAIL_STOP_TIMEOUT):
            abort_lent()
        self._pool.shutdown()
        self._pruning.stop()
        if self._timer.is_alive():
            self._timer.join(timeout=5)  # s; it may wait for a locked database
        close_kept()

    def _run(self) -> None:
        work_in_background()
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                pause = self._sweep()
                self._is_readable = True
            except Exception as error:  # a database that is away for a while must not end the thread
                if self._is_readable:
                    logger.exception("The outbox could not be read; trying every %s s.", PAUSE_AFTER_ERROR)
                pause, self._is_readable = PAUSE_AFTER_ERROR, False
                self._note_database_outage(error)
            if self._awake.wait(pause):
                self._stopping.wait(YIELD)
        with contextlib.suppress(DatabaseFailure):
            Process.objects.leave(this_process())
        connections.close_all()

    def _sweep(self) -> float:
        """Give due messages to free threads and return the seconds until the next look."""
        try:
            self._hasten_probe()
            free, is_maintenance_due = self._free_threads(), time.monotonic() >= self._maintain_at
            found = self._look(free) if free or is_maintenance_due else []
            queued, now = [moment for state, moment in found if state == State.QUEUED], clock.now()
            due = sum(moment <= now for moment in queued)
            if (free or is_maintenance_due) and not due and not self._busy:
                self._progress.made()
            if is_maintenance_due:
                self._try_to_maintain(found)
        finally:
            close_old_connections()
        self._submit(min(free, due))
        later = [moment for moment in queued if moment > now]
        return self._seconds_to_next_sweep(later[0] if free and later else None)

    def _hasten_probe(self) -> None:
        """Probe the relay now if a person has asked for it, but never while the other side wants no request."""
        if not self._outage or time.monotonic() >= self._probe_at:
            return
        asked = RelayOutage.objects.passed_probe(relay_name())
        if asked is not None and asked != self._probe_asked:
            with self._lock:
                self._probe_asked, self._probe_at = asked, self._rest_until

    def _free_threads(self) -> int:
        with self._lock:
            if self._outage:
                return int(self._busy == 0 and time.monotonic() >= self._probe_at)
            return self._threads - self._busy

    def _look(self, free: int) -> list[tuple[str, datetime]]:
        """Return the first messages that are not finished, with one query; _maintain() has two more when idle."""
        unfinished = OutboxMessage.objects.unfinished().values_list("state", "next_attempt_at")
        return list(unfinished[: free + 1])

    def _try_to_maintain(self, found: list[tuple[str, datetime]]) -> None:
        try:
            self._maintain(found)
            self._is_maintained = True
        except Exception as error:  # mail leaves all the same, if it can
            if self._is_maintained:
                logger.exception("No sign of life could be written; trying every %s s.", conf.MAIL_SWEEP_INTERVAL)
            self._is_maintained = False
            self._note_database_outage(error)

    def _note_database_outage(self, error: Exception) -> None:
        """Take no one's lease for a while, and go on with a new connection. An outage is no fault of the threads."""
        self._failed_at = time.monotonic()
        self._progress.made()
        drop_connection(error)

    def _maintain(self, found: list[tuple[str, datetime]]) -> None:
        """Do what is due every MAIL_SWEEP_INTERVAL seconds, however often the worker is woken."""
        self._maintain_at = time.monotonic() + conf.MAIL_SWEEP_INTERVAL
        close_kept(idle_only=True)
        if self._timekeeper.look():
            self.wake()
        Process.objects.heartbeat(this_process(), self._threads, self._progress.stuck_for(), clock.ahead())
        swept.send_robust(sender=type(self))
        self._pruning.begin_if_due()
        if release_what_fits():
            self.wake()
        if not found:
            return
        if make_digests():
            self.wake()
        has_grace = clock.seconds_since_jump() < conf.MAIL_LEASE  # whoever lives renews its lease meanwhile
        is_calm = not has_grace and time.monotonic() - self._failed_at >= GRACE
        if is_calm and OutboxMessage.objects.take_over_expired():
            self.wake()
        state, due_at = found[0]
        waited = (clock.now() - due_at).total_seconds()
        if state == State.QUEUED and waited > conf.MAIL_OVERDUE:
            logger.warning("The oldest due message has waited for %d s: nobody delivers, or not fast enough.", waited)

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

    def _deliver(self) -> None:
        try:
            deliver_due(self._must_rest, self._note_delivery)
            self._progress.made()
        except TransportUnavailable as error:
            self._progress.made()
            if not error.senders:  # they alone wait, in the table; the others' mails go on
                self._note_relay_outage(str(error), error.retry_after, error.is_about_account)
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

    def _note_delivery(self) -> None:
        self._progress.made()
        self._note_recovery()

    def _note_relay_outage(
        self, reason: str, wanted_pause: float | None = None, is_about_account: bool = False
    ) -> None:
        if self._stopping.is_set():
            return
        if self._is_news(reason, wanted_pause, is_about_account):
            logger.error("%s Mail waits in the outbox.", reason)
        next_probe_at = clock.now() + timedelta(seconds=self._probe_at - time.monotonic())
        with contextlib.suppress(DatabaseFailure):  # who reads it then has other worries
            RelayOutage.objects.note(relay_name(), reason, next_probe_at)
            self._outage_noted = True

    def _is_news(self, reason: str, wanted_pause: float | None = None, is_about_account: bool = False) -> bool:
        """Plan the next probe; the threads that meet the same outage meanwhile do not prolong the pause.

        A pause that the other side wants is none of ours: no thread asks before its end.
        """
        with self._lock:
            is_news, self._outage = reason != self._outage, reason
            if wanted_pause is not None:
                self._rest_until = max(self._rest_until, time.monotonic() + wanted_pause * random.uniform(1, 1.1))
                self._probe_at = max(self._probe_at, self._rest_until)
            elif time.monotonic() >= self._probe_at:
                first, longest = (FIRST_PAUSE, LONGEST_PAUSE)
                if is_about_account:
                    first, longest = (FIRST_PAUSE_OF_ACCOUNT, LONGEST_PAUSE_OF_ACCOUNT)
                self._pause = min(max(first, self._pause * 2), longest)
                self._probe_at = time.monotonic() + self._pause * random.uniform(0.8, 1.2)
        return is_news

    def _note_recovery(self) -> None:
        with self._lock:
            # A relay that takes fewer connections than we have threads refuses one and serves the others: whoever was
            # refused must not knock again at each acceptance.
            if self._outage and time.monotonic() < self._probe_at:
                return
            outage, noted = self._outage, self._outage_noted
            self._outage, self._outage_noted, self._pause = "", False, 0.0
        if outage:
            logger.info("The relay takes mail again.")
            self.wake()  # the other threads can go on
        if noted:
            try:
                RelayOutage.objects.clear(relay_name())
            except DatabaseFailure:  # the mail that was taken is recorded; the next one that is clears this
                self._outage_noted = True

    def _seconds_to_next_sweep(self, next_attempt_at: datetime | None) -> float:
        """Return when to look again if nobody wakes us; a job that ends does."""
        until = max(self._maintain_at - time.monotonic(), 0)
        if self._outage and self._probe_at > time.monotonic():
            until = min(until, self._probe_at - time.monotonic())
        elif next_attempt_at is not None:
            until = min(until, (next_attempt_at - clock.now()).total_seconds())
        return max(until, 0.01)
