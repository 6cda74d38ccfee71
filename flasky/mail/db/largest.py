"""Know how large a mail the database can take: it would refuse a larger one with a code, or hang up in its middle."""

import sqlite3
from typing import Any

ASK_FROM = 900_000  # bytes; any database takes less
BESIDE = 100_000  # bytes for the other columns and the statement
MOST_IN_POSTGRESQL = 500_000_000  # bytes; a statement has 1 GB, in which each byte is written with two letters
MOST_IN_SQLITE = 1_000_000_000  # bytes, unless it was built with another limit
ESCAPED = b"\0\n\r\x1a\"'\\"  # what MariaDB's driver writes with two bytes
MORE_FOR_LINE_ENDS = 1.03  # times, in lines of 76 characters


def size_for_database(content: bytes, connection: Any) -> int:
    """Return the bytes that the content takes on its way, with what travels beside it."""
    escapes = sum(content.count(byte) for byte in ESCAPED) if connection.vendor == "mysql" else 0
    return len(content) + escapes + BESIDE


def largest_content(connection: Any) -> int:
    """Return how large the content of a mail can be whose lines are of the usual length."""
    room = room_in_database(connection)
    return int((room - BESIDE) / (MORE_FOR_LINE_ENDS if connection.vendor == "mysql" else 1))


def room_in_database(connection: Any) -> int:
    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            return int(cursor.fetchone()[0])
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        limit = getattr(sqlite3, "SQLITE_LIMIT_LENGTH", None)  # from Python 3.11 on
        return MOST_IN_SQLITE if limit is None else int(connection.connection.getlimit(limit))
    return MOST_IN_POSTGRESQL


def where_it_is_set(connection: Any) -> str:
    return {"mysql": "max_allowed_packet of the server", "sqlite": "SQLITE_MAX_LENGTH of this SQLite"}.get(
        connection.vendor, "the database"
    )
