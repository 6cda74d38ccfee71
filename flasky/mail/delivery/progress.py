"""Notice when a worker is stuck: it may give signs of life while none of its threads does anything."""

import time

from flasky.mail.conf import conf

REPLIES = 10  # for which one attempt may wait in a row, each for MAIL_TIMEOUT
DOUBT = 120  # s after a failure in which it is nothing that a thread is alive: the next one fails at the same place


class Progress:
    """When a worker last got on, by what its threads do.

    Waiting in order is getting on: for the relay, for a turn, for mail. A thread that waits so asks again and again
    whether to stop, between two replies of the relay at the latest.
    """

    def __init__(self) -> None:
        self._at, self._failed_at = time.monotonic(), float("-inf")

    def made(self) -> None:
        self._at, self._failed_at = time.monotonic(), float("-inf")

    def heard(self) -> None:
        """Note that a thread is alive, and waits in order or works."""
        now = time.monotonic()
        if now - self._failed_at > DOUBT:
            self._at = now

    def failed(self) -> None:
        self._failed_at = time.monotonic()

    def stuck_for(self) -> float:
        """Return for how many seconds the worker has been stuck; 0 if it may just be slow."""
        seconds = time.monotonic() - self._at
        return seconds if seconds > max(conf.MAIL_OVERDUE, REPLIES * conf.MAIL_TIMEOUT) else 0
