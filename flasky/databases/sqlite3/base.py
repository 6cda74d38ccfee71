"""Connect to SQLite as Django does, and wait for its lock with short looks, visitors before the threads that deliver.

SQLite itself sleeps in steps that grow to 100 ms, past the moment when the lock is free: one in twenty requests waited
200 ms for locks that are held for 6.
"""

import random
import threading
import time
import traceback
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

from flasky.mail.runtime.background import is_in_background
from flasky.mail.runtime.forking import forget_in_child

LOOK = 0.001  # s between two looks whether another process has done
LOOK_IN_BACKGROUND = 0.025  # s, so that a visitor who waits nearly always comes first
LONGEST_TURN = 0.1  # s until this process's other threads are not waited for: only SQLite knows who has the lock
LONGEST_COURTESY = 0.3  # s after which the background waits like any other

_turn = threading.Lock()  # held with SQLite's lock: the next thread of this process wakes at once


class DatabaseWrapper(base.DatabaseWrapper):
    transaction_mode: str | None
    _has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        if self.transaction_mode != "IMMEDIATE":
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
            return
        timeout = self.settings_dict["OPTIONS"].get("timeout", 5)  # s; 5 is sqlite3's own
        self._wait_in_sqlite(0)
        try:
            self._begin_within(timeout)
        finally:
            self._wait_in_sqlite(timeout)

    def _begin_within(self, timeout: float) -> None:
        began = time.monotonic()
        while True:
            waited = time.monotonic() - began
            is_polite = is_in_background() and waited < LONGEST_COURTESY
            if self._take_turn(is_polite):
                try:
                    return super()._start_transaction_under_autocommit()  # type: ignore[misc,no-any-return]
                except BaseException as error:
                    self._end_turn()
                    is_locked = isinstance(error, OperationalError) and "locked" in str(error)
                    if not is_locked or waited >= timeout:
                        raise
                    # Django's errors are cycles that hold the cursor. The garbage collector would close it in whatever
                    # thread it runs, which waits for this connection, and with SQLite's lock in hand for 20 s.
                    traceback.clear_frames(error.__traceback__)
            time.sleep((LOOK_IN_BACKGROUND if is_polite else LOOK) * random.uniform(0.5, 1.5))

    def _take_turn(self, is_polite: bool) -> bool:
        """Return whether to look now: it is our turn, or the others of this process have had theirs for too long."""
        if is_polite:
            self._has_turn = _turn.acquire(blocking=False)
            return self._has_turn
        self._has_turn = _turn.acquire(timeout=LONGEST_TURN)
        return True

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turn.release()

    def _wait_in_sqlite(self, seconds: float) -> None:
        self.connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")

    def _commit(self) -> Any:
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._end_turn()


@forget_in_child
def _forget_the_parents_turn() -> None:
    global _turn
    _turn = threading.Lock()
