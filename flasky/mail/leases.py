"""Keep the leases of what this process is delivering right now, however long the relay takes."""

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Iterator

from django.conf import settings
from django.db import connections

from flasky.mail.models import OutboxMessage

logger = logging.getLogger(__name__)

_held: set[uuid.UUID] = set()
_lock = threading.Lock()
_keeper: threading.Thread | None = None


@contextlib.contextmanager
def kept(token: uuid.UUID) -> Iterator[None]:
    """Renew the lease of the claim with this token while the block runs."""
    global _keeper
    with _lock:
        _held.add(token)
        if _keeper is None:
            _keeper = threading.Thread(target=_renew_while_held, name="lease-keeper", daemon=True)
            _keeper.start()
    try:
        yield
    finally:
        with _lock:
            _held.discard(token)


def _renew_while_held() -> None:
    """Renew every third of a lease; end when there was nothing to renew."""
    global _keeper
    while True:
        threading.Event().wait(settings.MAIL_LEASE / 3)
        with _lock:
            tokens = set(_held)
            if not tokens:
                _keeper = None
                return
        try:
            OutboxMessage.objects.renew(tokens)
        except Exception:  # the database is away: the next round may still be in time
            logger.exception("The leases of %s claims could not be renewed.", len(tokens))
        finally:
            connections.close_all()


def _forget_the_parents_keeper() -> None:
    global _keeper, _lock
    _keeper, _lock = None, threading.Lock()
    _held.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_the_parents_keeper)
