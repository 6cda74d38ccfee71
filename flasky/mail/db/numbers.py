"""Let new messages have numbers that none had which a restored database has lost: logs and links name them."""

from typing import Any

from django.db import connections

from flasky.mail.db.connections import alias
from flasky.mail.models import OutboxMessage

STATEMENTS = {
    "postgresql": "SELECT setval(pg_get_serial_sequence('{table}', 'id'), %s, false) "
    "WHERE nextval(pg_get_serial_sequence('{table}', 'id')) < %s",
    "mysql": "ALTER TABLE {table} AUTO_INCREMENT = %s",  # never below what it is
    "sqlite": "UPDATE sqlite_sequence SET seq = %s - 1 WHERE name = '{table}' AND seq < %s - 1",
}


def begin_at(number: int) -> None:
    """Give the next message this number, or a higher one if there are such."""
    connection: Any = connections[alias()]
    statement = STATEMENTS[connection.vendor].format(table=OutboxMessage._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(statement, [number] * statement.count("%s"))
