"""Renew again and again what this process holds, in a thread that ends with nothing left to renew."""

import logging
import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from django.db import connections

from flasky.mail.runtime.forking import forget_in_child

logger = logging.getLogger(__name__)
Held = TypeVar("Held", bound=Hashable)


class Heartbeat(Generic[Held]):
    """Renew all that is held, again and again, in a thread that ends when there was nothing to renew."""

    def __init__(self, what: str, renew: Callable[[set[Held]], Any], pause: Callable[[], float]) -> None:
        self._what, self._renew, self._pause = what, renew, pause
        self._forget()
        forget_in_child(self._forget)

    def _forget(self) -> None:
        """Begin with nothing: what the parent of a forked process holds is the parent's."""
        self._held: set[Held] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None  # while there is something to renew

    def add(self, held: Held) -> None:
        """Renew it from now on. Raise RuntimeError if no thread can be started for that; then it is not held."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name=f"{self._what}-heartbeat", daemon=True)
                thread.start()
                self._thread = thread
            self._held.add(held)

    def discard(self, held: Held) -> None:
        with self._lock:
            self._held.discard(held)

    def _run(self) -> None:
        while True:
            threading.Event().wait(self._pause())
            with self._lock:
                held = set(self._held)
                if not held:
                    self._thread = None
                    return
            try:
                self._renew(held)
            except Exception:  # the database is away: the next round may still be in time
                logger.exception("The leases of %s %ss could not be renewed.", len(held), self._what)
            finally:
                connections.close_all()
