"""Deliver what is due with several threads, and end; the worker in the background goes on instead."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from django.db import connections
from django.db.models import Count

from flasky.mail.conf import conf
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.timekeeping import Timekeeper
from flasky.mail.limits.releasing import release_what_fits
from flasky.mail.models import Attempt, OutboxMessage, RelayOutage
from flasky.mail.runtime.background import work_in_background
from flasky.mail.runtime.identity import this_thread
from flasky.mail.transports import TransportUnavailable, abort_lent, close_kept, relay_name

LOOK_INTERVAL = 0.2  # s between two looks at what the threads have done


class NoThread(Exception):
    """No thread can be started to deliver."""


class Drain:
    """Deliver until nothing is due, the relay takes no mail, or `stop()`; then for MAIL_STOP_TIMEOUT s at most."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop
        self._threads: set[str] = set()  # those that have delivered
        self.outage: TransportUnavailable | None = None  # the first

    def run(self, look: Callable[[int], None]) -> Counter[str]:
        """Return how many of the messages that were tried are in which state now. Raise NoThread.

        `look()` is called again and again, with how many messages were due in the beginning.
        """
        Timekeeper().look()
        OutboxMessage.objects.take_over_expired()
        release_what_fits()
        last_attempt = Attempt.objects.order_by("pk").values_list("pk", flat=True).last() or 0
        try:
            self._deliver_with_threads(look)
        finally:
            close_kept()
        states = self._states_of_what_was_tried_after(last_attempt)
        if states and not self.outage:
            RelayOutage.objects.clear(relay_name())
        return states

    def _deliver_with_threads(self, look: Callable[[int], None]) -> None:
        total = OutboxMessage.objects.due().count()
        stop_by = 0.0  # on the monotonic clock
        with ThreadPoolExecutor(conf.MAIL_WORKERS, "mail", initializer=work_in_background) as pool:
            jobs = self._jobs(pool, min(total, conf.MAIL_WORKERS))
            while wait(jobs, timeout=LOOK_INTERVAL).not_done:
                look(total)
                if self._stop():
                    stop_by = stop_by or time.monotonic() + conf.MAIL_STOP_TIMEOUT
                    if time.monotonic() > stop_by:
                        abort_lent()
        for job in jobs:
            job.result()  # raises what was raised in the thread

    def _jobs(self, pool: ThreadPoolExecutor, most: int) -> list[Future[None]]:
        """Start up to so many; fewer if the machine has no thread more for us, and one at least."""
        jobs: list[Future[None]] = []
        try:
            for _ in range(most):
                jobs.append(pool.submit(self._deliver))
        except (RuntimeError, MemoryError) as error:
            if not jobs:
                raise NoThread(str(error)) from error
        return jobs

    def _deliver(self) -> None:
        self._threads.add(this_thread())
        try:
            deliver_due(self._must_stop)
        except TransportUnavailable as outage:
            self.outage = self.outage or outage
        finally:
            connections.close_all()

    def _must_stop(self) -> bool:
        return self._stop() or (self.outage is not None and not self.outage.senders)

    def _states_of_what_was_tried_after(self, last_attempt: int) -> Counter[str]:
        """Ask the history, which knows: deliver_due() returns nothing when the relay goes away in its midst."""
        tried = Attempt.objects.filter(pk__gt=last_attempt, worker__in=self._threads)
        messages = OutboxMessage.objects.filter(pk__in=tried.values("message_id"))
        return Counter(dict(messages.values_list("state").annotate(number=Count("pk"))))
