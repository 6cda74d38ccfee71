"""Connect to PostgreSQL as Django does, through a gate, and with a pool that does not wait for ever."""

import selectors
import time
from typing import Any

from django.db.backends.postgresql import base
from psycopg import OperationalError

from flasky.databases.gate import Gated
from flasky.mail.runtime.background import is_in_background

ANSWER_TIMEOUT = 2  # s for a pooled connection to show that its server is there
TRUST = 0.2  # s after an answer in which the background asks no more: that was half of all journeys for a mail


class DatabaseWrapper(Gated, base.DatabaseWrapper):
    @property
    def pool(self) -> Any:
        pool = super().pool
        if pool:
            pool._check = check_now_and_then  # Django lets nobody choose it
        return pool


def check_now_and_then(connection: Any) -> None:
    """Check the connection, unless nobody but the background would wait in vain and it has just answered."""
    if is_in_background() and time.monotonic() < getattr(connection, "answered_at", 0) + TRUST:
        return
    check_answer(connection)
    connection.answered_at = time.monotonic()


def check_answer(connection: Any) -> None:
    """Raise OperationalError, and close the connection, unless its server answers.

    psycopg's own check asks the same and waits without end: a server that is frozen still acknowledges what it gets.
    """
    deadline, server = time.monotonic() + ANSWER_TIMEOUT, connection.pgconn
    server.send_query(b"")
    server.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(server.socket, selectors.EVENT_READ)
        while True:
            while server.is_busy():
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    connection.close()
                    raise OperationalError(f"A connection was silent for {ANSWER_TIMEOUT} s.")
                server.consume_input()
            if server.get_result() is None:
                return
