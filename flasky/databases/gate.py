"""Let one thread find out whether a database takes connections again, so that the others do not wait with it.

Without this, each request that needs the database holds its thread until its own attempt times out, and a few of them
hold the whole process: pages that need no database wait for a thread.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OTHERS_WAIT = 1  # s that others wait for the first who tries
PAUSE = 1  # s after an attempt that failed, in which nobody tries
TRUST = (
    0.2  # s after an attempt that succeeded, in which nobody waits for another's: a busy process goes on in parallel
)
LONG_AGO = float("-inf")


class Closed(Exception):
    pass


class Gate:
    """Before a process's connections to one database."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._attempts: list[float] = []  # when those began that have not ended; all times are on the monotonic clock
        self._succeeded_at = self._failed_at = LONG_AGO
        self._is_away = False  # as far as the last attempt can tell

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Let the caller try to connect; raise Closed if the others' attempts say that it is in vain."""
        began = self._enter()
        try:
            yield
        except BaseException:
            self._leave(began, succeeded=False)
            raise
        self._leave(began, succeeded=True)

    def _enter(self) -> float:
        with self._changed:
            while self._must_wait(now := time.monotonic()):
                left = self._give_up_at() - now
                if left <= 0:
                    raise Closed
                self._changed.wait(left)
            self._attempts.append(now)
            return now

    def _must_wait(self, now: float) -> bool:
        """Say whether it is not known that the database is there, and another finds out or has just failed to."""
        if self._is_away and now < self._failed_at + PAUSE:
            return True
        oldest = min(self._attempts, default=None)
        return oldest is not None and oldest > self._succeeded_at and now >= self._succeeded_at + TRUST

    def _give_up_at(self) -> float:
        return LONG_AGO if self._is_away else min(self._attempts) + OTHERS_WAIT

    def _leave(self, began: float, succeeded: bool) -> None:
        with self._changed:
            self._attempts.remove(began)
            if succeeded:
                self._succeeded_at, self._is_away = time.monotonic(), False
            elif began > self._succeeded_at:
                self._failed_at, self._is_away = time.monotonic(), True
            self._changed.notify_all()


_gates: dict[str, Gate] = defaultdict(Gate)  # one for each alias


class Gated:
    """What a database wrapper inherits first, to connect through the gate of its alias."""

    def connect(self: Any) -> None:
        try:
            with _gates[self.alias].attempt():
                super().connect()  # type: ignore[misc]
        except Closed as closed:
            message = "The database takes no connection, as another thread has found out."
            raise self.Database.OperationalError(message) from closed


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_gates.clear)  # an attempt of the parent's threads never ends in a child
