"""Let the threads of this process write to the database one after the other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from flasky.mail.db.connections import alias
from flasky.mail.runtime.forking import forget_in_child

_writing = threading.Lock()


@contextmanager
def one_writer() -> Iterator[None]:
    """Let the threads of this process write one after the other.

    They would wait for each other anyway: on SQLite asleep, in growing steps, past the moment when the lock is free.
    """
    if connections[alias()].in_atomic_block:  # its caller may hold the database's lock: others wait for that
        yield
        return
    with _writing:
        yield


@forget_in_child
def _forget_the_parents_lock() -> None:
    global _writing
    _writing = threading.Lock()
