"""Ask the database, and wait for its answer only so long."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import Generic, TypeVar

from django.db import connections

PATIENCE = 8  # s; longer than a connection may take, shorter than what most who probe wait for
T = TypeVar("T")


class DatabaseIsSilent(Exception):
    pass


class Look(Generic[T]):
    """Call `read` in a thread of its own: a database that hangs must not take a server's threads, probe by probe.

    One look at a time, whose answer all who ask meanwhile get: at most one thread of a process hangs.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._asking = threading.Lock()
        self._current: Future[T] | None = None

    def answer(self) -> T:
        """Return what `read` returns, raise what it raises, or raise DatabaseIsSilent after PATIENCE seconds."""
        with self._asking:
            if self._current is None or self._current.done():
                self._current = Future()
                look = copy_context().run  # what it logs is about the request that asks
                threading.Thread(target=look, args=(self._look, self._current), name="look", daemon=True).start()
            current = self._current
        if not wait([current], PATIENCE).done:
            raise DatabaseIsSilent
        return current.result()

    def _look(self, future: "Future[T]") -> None:
        try:
            found = self._read()
        except BaseException as error:
            connections.close_all()
            future.set_exception(error)
        else:
            connections.close_all()
            future.set_result(found)
