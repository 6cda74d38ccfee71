"""Write what became of several messages with one statement, where a WITH may write: faster. Others need three.

Only PostgreSQL can. The statement is a transaction by itself: one journey to the database, one parse and one plan for
all the results. They come as one JSON document, because a value for each column would cost more than the rest.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connections, models

from flasky.mail.delivery.counting import slot
from flasky.mail.delivery.outcomes import Result, counts_of
from flasky.mail.models import Attempt, HourlyCount, OutboxMessage, State
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
COUNTED = ("sent", "failed", *Attempt.Outcome.values[:5], "retries", "waited_ms")  # of the hour


def can_write_at_once(connection: Any) -> bool:
    return bool(connection.vendor == "postgresql")


def write_at_once(results: Sequence[Result], connection: Any) -> set[int]:
    """Write messages, attempts and counts; return the keys of the messages whose claims were still their holders'."""
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_statement(connection.alias), [json.dumps([*map(_row, results)], default=_text), hour, slot()])
        return {key for (key,) in cursor.fetchall()}


def _row(result: Result) -> dict[str, Any]:
    attempt = {f"attempt_{name}": result.attempt[name] for name in NOTED}
    counts = {f"count_{name}": count for name, count in counts_of(result).items()}
    return {name: result.changes[name] for name in CHANGED} | attempt | counts


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


@cache
def _statement(using: str) -> str:
    connection: Any = connections[using]

    def typed(model: type[models.Model], names: Sequence[str], prefix: str = "") -> list[str]:
        return [f"{prefix}{name} {model._meta.get_field(name).db_type(connection)}" for name in names]

    def table(model: type[models.Model]) -> str:
        return str(connection.ops.quote_name(model._meta.db_table))

    columns = typed(OutboxMessage, CHANGED)
    columns += typed(Attempt, NOTED, "attempt_") + typed(HourlyCount, COUNTED, "count_")
    changes = ", ".join(f"{name} = result.{name}" for name in CHANGED)
    noted = ", ".join(f"attempt_{name}" for name in NOTED)
    counted = ", ".join(COUNTED)
    sums = ", ".join(f"COALESCE(SUM(count_{name}), 0)" for name in COUNTED)
    additions = ", ".join(f"{name} = count.{name} + excluded.{name}" for name in COUNTED)
    return f"""WITH result AS (SELECT * FROM json_to_recordset(%s) AS row ({", ".join(columns)})),
        ended AS (
            UPDATE {table(OutboxMessage)} AS message SET {changes}, claim_token = NULL, lease_expires_at = NULL
            FROM result
            WHERE message.id = attempt_message_id AND message.claim_token = attempt_claim_token
                AND message.state = '{State.SENDING.value}'
            RETURNING message.id
        ),
        counted AS (
            INSERT INTO {table(HourlyCount)} AS count (hour, slot, {counted})
            SELECT %s, %s, {sums} FROM result JOIN ended ON ended.id = attempt_message_id HAVING COUNT(*) > 0
            ON CONFLICT (hour, slot) DO UPDATE SET {additions}
        )
        INSERT INTO {table(Attempt)} ({", ".join(NOTED)})
        SELECT {noted} FROM result JOIN ended ON ended.id = attempt_message_id
        RETURNING message_id
    """  # noqa: S608
