"""Know by which isolation level the outbox's transactions really run, whoever has set it."""

from typing import Any

from django.db import transaction

READ_COMMITTED = "read committed"
# On PostgreSQL reading what is not committed is the same as reading what is.
FIT = {"postgresql": (READ_COMMITTED, "read uncommitted"), "mysql": (READ_COMMITTED,)}
STATEMENTS = {
    "postgresql": "SELECT 'transaction_isolation', current_setting('transaction_isolation')",
    # MySQL has one of them, MariaDB the other or both.
    "mysql": "SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')",
}


def isolation_level(connection: Any) -> str:
    """Return the level of a transaction, in small letters; nothing where there is only one."""
    statement = STATEMENTS.get(connection.vendor)
    if not statement:
        return ""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(statement)
        return str(cursor.fetchone()[1]).replace("-", " ").lower()


def is_fit(level: str, vendor: str) -> bool:
    return level in FIT.get(vendor, (level,))
