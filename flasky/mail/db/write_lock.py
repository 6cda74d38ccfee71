"""Let the threads of this process write to the database one after the other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from flasky.mail.db.connections import alias
from flasky.mail.models import OverBudget
from flasky.mail.runtime.forking import forget_in_child

_writing = threading.Lock()


@contextmanager
def one_writer() -> Iterator[None]:
    """Let the threads of this process write one after the other.

    They would wait for each other anyway: on SQLite asleep, in growing steps, past the moment when the lock is free.
    """
    connection = connections[alias()]
    if connection.vendor != "sqlite" or connection.in_atomic_block:  # its caller may hold the database's lock
        yield
        return
    with _writing:
        yield


def take_write_lock(connection: Any) -> None:
    """Let a transaction that is to read and then to write begin with a write, on SQLite one of no row.

    There one that has read first is refused the lock at once if another has written meanwhile: "database is locked".
    """
    if connection.vendor == "sqlite" and connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {OverBudget._meta.db_table} WHERE 0")  # noqa: S608


@forget_in_child
def _forget_the_parents_lock() -> None:
    global _writing
    _writing = threading.Lock()
