"""Hash passwords one after the other: hashing is made to be slow, and many at once leave nothing for other visitors."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import Any

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from flasky.guard.limits import Limit, TooMany

IN_LINE = 4  # of each process, the one whose password is being hashed included; each waits in a thread of the server
COME_AGAIN = 5  # s

_line = BoundedSemaphore(IN_LINE)
_turn = Lock()


class OneAtATimeHasher(PBKDF2PasswordHasher):
    """Django's hashes, made one at a time in each process. Beyond IN_LINE it raises TooMany at once."""

    def encode(self, password: Any, salt: Any, iterations: Any = None) -> str:
        with _my_turn():
            return super().encode(password, salt, iterations)


@contextmanager
def _my_turn() -> Iterator[None]:
    if not _line.acquire(blocking=False):
        raise TooMany(Limit("passwords at once", "", IN_LINE, COME_AGAIN), COME_AGAIN)
    try:
        with _turn:
            yield
    finally:
        _line.release()
