"""Write what became of several messages with one statement, where the database has a function for it: faster.

Only PostgreSQL has; others need three statements. This one is a transaction by itself: one journey to the database. The
results come as one JSON document, because a value for each column would cost more than the rest. What the function does
stands in the migration that makes it; one that is to write more must do without what older processes do not say.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connections

from flasky.mail.delivery.counting import slot
from flasky.mail.delivery.outcomes import Result, counts_of
from flasky.mail.runtime import clock

# What the end of an attempt changes in its message.
CHANGED = (
    "state",
    "next_attempt_at",
    "finished_at",
    "attempt_count",
    "lost_claims",
    "unknown_ends",
    "last_reply",
    "outcomes",
    "possible_duplicate",
)
NOTED = (
    "message_id",
    "claim_token",
    "started_at",
    "seconds",
    "outcome",
    "reply",
    "server",
    "secured",
    "logged_in",
    "worker",
)
FUNCTION = "flasky_mail_record(json, timestamptz, integer)"


def can_write_at_once(connection: Any) -> bool:
    return connection.vendor == "postgresql" and _has_function(connection.alias)


@cache
def _has_function(using: str) -> bool:
    """Tell whether the migration has run: whoever is started before it goes on with three statements."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regprocedure(%s) IS NOT NULL", [FUNCTION])
        return bool(cursor.fetchone()[0])


def write_at_once(results: Sequence[Result], connection: Any) -> set[int]:
    """Write messages, attempts and counts; return the keys of the messages whose claims were still their holders'."""
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    document = json.dumps([*map(_row, results)], default=_text)
    with connection.cursor() as cursor:
        cursor.execute("SELECT flasky_mail_record(%s, %s, %s)", [document, hour, slot()])
        return {key for (key,) in cursor.fetchall()}


def _row(result: Result) -> dict[str, Any]:
    attempt = {f"attempt_{name}": result.attempt[name] for name in NOTED}
    counts = {f"count_{name}": count for name, count in counts_of(result).items()}
    return {name: result.changes[name] for name in CHANGED} | attempt | counts


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
