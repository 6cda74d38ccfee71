"""Let the threads of this process write to the database one after the other."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from flasky.mail.db.connections import alias

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


def _forget_the_parents_lock() -> None:
    global _writing
    _writing = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_the_parents_lock)
