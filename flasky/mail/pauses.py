"""Wait, without holding a database connection meanwhile."""

import time
from collections.abc import Callable

from django.db import connections

from flasky.mail.recording import alias

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
