"""Run threads that lose count of no job, even if a thread cannot be started."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.db import connections

from flasky.mail.runtime.background import work_in_background

TOGETHER = 5  # s that the threads wait for each other at the end


class Pool:
    """Up to `size` threads that do one thing, as often as told."""

    def __init__(self, size: int, work: Callable[[], None]) -> None:
        self._size, self._work, self._is_ending = size, work, False
        self._begin()

    def _begin(self) -> None:
        self._executor = ThreadPoolExecutor(self._size, thread_name_prefix="mail", initializer=self._note_thread)
        self._begun: list[threading.Thread] = []

    def _note_thread(self) -> None:
        work_in_background()
        self._begun.append(threading.current_thread())

    def do(self) -> None:
        """Let a thread do the work once. Raise RuntimeError or MemoryError if none can be started; then none will.

        An executor that can start no thread keeps the job all the same, to be done one day uncounted, and takes from
        then on one of its threads for idle that is not. So the job is withdrawn, and there is a new executor.
        """
        job = _Job(partial(self._work_for, self._executor))
        try:
            self._executor.submit(job)
        except (RuntimeError, MemoryError):
            if job.withdraw():
                self._executor.shutdown(wait=False, cancel_futures=True)  # who is busy goes on, and ends
                self._begin()
                raise

    def _work_for(self, executor: ThreadPoolExecutor) -> None:
        self._work()
        if self._is_ending or executor is not self._executor:  # this thread ends
            connections.close_all()

    def shutdown(self) -> None:
        """Wait until what was begun is done; the threads close their connections and end."""
        self._is_ending = True
        together = threading.Barrier(max(len(self._begun), 1))
        with contextlib.suppress(RuntimeError, MemoryError):
            for _ in self._begun:
                self._executor.submit(_close_connections, together)
        self._executor.shutdown(wait=True)


class _Job:
    """Work that is done once, or withdrawn."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._is_taken = threading.Lock()

    def __call__(self) -> None:
        if self._is_taken.acquire(blocking=False):
            self._work()

    def withdraw(self) -> bool:
        """Return whether nobody has begun it."""
        return self._is_taken.acquire(blocking=False)


def _close_connections(together: threading.Barrier) -> None:
    """Close what this thread has kept; each thread has to take one of these jobs, so they wait for each other."""
    with contextlib.suppress(threading.BrokenBarrierError):
        together.wait(TOGETHER)
    connections.close_all()
