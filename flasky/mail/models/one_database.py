"""Read the outbox where it is written, and begin each transaction so that it can write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connections, models, router, transaction

Row = TypeVar("Row", bound=models.Model, covariant=True)


class InOneDatabase(models.QuerySet[Row]):
    """Rows of the outbox: never read from a copy of the database that may lag behind.

    Who claims, reads back what was claimed; who decides, decides by what is so.
    """

    @property
    def db(self) -> str:
        return self._db or router.db_for_write(self.model)  # type: ignore[attr-defined]


@contextmanager
def write_transaction(using: str) -> Iterator[None]:
    """Open a transaction that reads first and then writes; on SQLite it takes the lock at its start.

    There one that has read is refused the lock at once if another has begun to write meanwhile, whatever its `timeout`:
    "database is locked". Inside a transaction of the caller it is too late for that.
    """
    connection: Any = connections[using]
    if connection.vendor != "sqlite":
        with transaction.atomic(using=using):
            yield
        return
    connection.ensure_connection()  # which sets the mode that the settings have
    mode = connection.transaction_mode
    connection.transaction_mode = "IMMEDIATE"
    try:
        with transaction.atomic(using=using):
            yield
    finally:
        connection.transaction_mode = mode
