"""Renew again and again what this process holds, in a thread that ends with nothing left to renew."""

import logging
import os
import threading
import uuid
from collections.abc import Callable
from typing import Any

from django.db import connections

logger = logging.getLogger(__name__)


class Keeper:
    """Renew all that is held, again and again, in a thread that ends when there was nothing to renew."""

    def __init__(self, what: str, renew: Callable[[set[uuid.UUID]], Any], pause: Callable[[], float]) -> None:
        self._what, self._renew, self._pause = what, renew, pause
        self._forget()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Begin with nothing: what the parent of a forked process holds is the parent's."""
        self._held: set[uuid.UUID] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None  # while there is something to renew

    def hold(self, token: uuid.UUID) -> None:
        """Renew it from now on. Raise RuntimeError if no thread can be started for that; then it is not held."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name=f"{self._what}-keeper", daemon=True)
                thread.start()
                self._thread = thread
            self._held.add(token)

    def let_go(self, token: uuid.UUID) -> None:
        with self._lock:
            self._held.discard(token)

    def _run(self) -> None:
        while True:
            threading.Event().wait(self._pause())
            with self._lock:
                tokens = set(self._held)
                if not tokens:
                    self._thread = None
                    return
            try:
                self._renew(tokens)
            except Exception:  # the database is away: the next round may still be in time
                logger.exception("The leases of %s %ss could not be renewed.", len(tokens), self._what)
            finally:
                connections.close_all()
