"""Say which database the outbox is in, and wait without holding a connection to it meanwhile."""

import contextlib
import time
from collections.abc import Callable

from django.db import connections, router

from flasky.mail.models import OutboxMessage

LOOK = 0.1  # s between two looks whether to stop


def pause(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait so long, or until `stop()`."""
    release_connection()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not stop():
        time.sleep(min(left, LOOK))


def release_connection() -> None:
    """Close the connection, give it back to its pool, or keep it: as the database's settings say of requests."""
    connection = connections[alias()]
    if not connection.in_atomic_block:  # inside its caller's transaction it is not ours to close
        connection.close_if_unusable_or_obsolete()


def drop_connection(error: Exception | None = None) -> None:
    """Close the connection that has failed, past its pool.

    After a fail-over it may lead to a server that only reads: nothing else is wrong with it, and a pool would lend it
    again for an hour. SQLite's lock is another's, and without it a new connection could not even be set up.
    """
    connection = connections[alias()]
    if connection.in_atomic_block or "database is locked" in str(error):
        return
    with contextlib.suppress(Exception):  # it may be gone already, and that is the aim
        if getattr(connection, "pool", None):
            connection.connection.close()
    with contextlib.suppress(Exception):
        connection.close()


def alias() -> str:
    return router.db_for_write(OutboxMessage)
