"""Ask the database, and wait for its answer only so long."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import Generic, TypeVar

from django.db import connections

from flasky.mail.runtime.forking import forget_in_child

TIME_LIMIT = 8  # s; longer than a connection may take, shorter than what most who probe wait for
T = TypeVar("T")


class DatabaseIsSilent(Exception):
    pass


class NoThread(Exception):
    """This process could start no thread that would ask."""


class SingleFlight(Generic[T]):
    """Call `read` in a thread of its own: a database that hangs must not take a server's threads, probe by probe.

    One call at a time, whose answer all who ask meanwhile get: at most one thread of a process hangs.
    """

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._forget()
        forget_in_child(self._forget)

    def _forget(self) -> None:
        """Begin with no question: the thread that asks for the parent of a forked process does not exist there."""
        self._asking = threading.Lock()
        self._current: Future[T] | None = None

    def answer(self) -> T:
        """Return what `read` returns, raise what it raises, or raise DatabaseIsSilent after TIME_LIMIT seconds.

        Raise NoThread at once if no thread can be started.
        """
        with self._asking:
            if self._current is None or self._current.done():
                self._current = self._new_call()
            current = self._current
        if not wait([current], TIME_LIMIT).done:
            raise DatabaseIsSilent
        return current.result()

    def _new_call(self) -> "Future[T]":
        future: Future[T] = Future()
        try:
            run = copy_context().run  # what it logs is about the request that asks
            threading.Thread(target=run, args=(self._call, future), name="look", daemon=True).start()
        except (RuntimeError, MemoryError) as error:
            raise NoThread(str(error)) from error
        return future

    def _call(self, future: "Future[T]") -> None:
        try:
            found = self._read()
        except BaseException as error:
            _close_connections()
            future.set_exception(error)
        else:
            _close_connections()
            future.set_result(found)


def _close_connections() -> None:
    with contextlib.suppress(Exception):  # somebody waits for the answer
        connections.close_all()
