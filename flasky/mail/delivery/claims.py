"""Keep the leases of what this process holds right now, however long the relay takes."""

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.db import connections

from flasky.mail.models import OutboxMessage

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


_claims = Keeper("claim", lambda tokens: OutboxMessage.objects.renew(tokens), lambda: settings.MAIL_LEASE / 3)


@contextlib.contextmanager
def kept(token: uuid.UUID) -> Iterator[None]:
    """Renew the lease of the claim with this token while the block runs; give it back if nobody can renew it."""
    try:
        _claims.hold(token)
    except BaseException:
        OutboxMessage.objects.release(token)
        raise
    try:
        yield
    finally:
        _claims.let_go(token)
