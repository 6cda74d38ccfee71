"""Count what has been spent of the mail budget: by indexes, and past the ORM, which compiles a statement for each."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import connections
from django.db.models import Q

from flasky.mail.db.connections import alias
from flasky.mail.models import FurtherRecipient, Gathered, OutboxMessage, OverBudget, Priority
from flasky.mail.runtime import clock

MESSAGES, FURTHER, HELD, GATHERED = (
    model._meta.db_table for model in (OutboxMessage, FurtherRecipient, OverBudget, Gathered)
)
SLACK = timedelta(seconds=60)  # what was stored later than so was stored by a clock that was ahead
URGENT = f"priority = '{Priority.URGENT.value}'"


class Share(NamedTuple):
    """A part of the budget: of one recipient, of one kind, or all of it; of urgent messages only, or of all."""

    name: str
    whom: str
    is_urgent: bool


class Limit(NamedTuple):
    share: Share
    most: int
    seconds: int


def left(limit: Limit) -> int:
    """Return how many messages may still be stored or let go, by what the outbox has."""
    now = clock.now()
    since, until = now - timedelta(seconds=limit.seconds), now + SLACK
    stored, is_adjusted = _stored(limit.share, since, until)
    if is_adjusted:
        about = _about(limit.share)
        held, released = OverBudget.objects.held_and_released(about, since, until)
        stored += released - held - Gathered.objects.count_between(about, since, until)
    return limit.most - stored


def _stored(share: Share, since: datetime, until: datetime) -> tuple[int, bool]:
    """Return how many messages were stored, and whether any since was held, released or gathered."""
    connection: Any = connections[alias()]
    since, until = map(connection.ops.adapt_datetimefield_value, (since, until))
    statement = _statement(share.name, share.is_urgent)
    named = {"whom": share.whom, "since": since, "until": until}
    with connection.cursor() as cursor:
        cursor.execute(statement, named)
        stored, is_adjusted = cursor.fetchone()
    return stored, bool(is_adjusted)


@cache
def _statement(name: str, is_urgent: bool) -> str:
    whose = {"recipient": " AND first_recipient = %(whom)s", "kind": " AND kind = %(whom)s"}.get(name, "")
    priority = f" AND {URGENT}" if is_urgent else ""
    lately = "created_at > %(since)s AND created_at <= %(until)s"
    count = f"(SELECT COUNT(*) FROM {MESSAGES} WHERE {lately}{whose}{priority})"  # noqa: S608
    if name == "recipient":
        # Both by their table: a message has a message_id too, the header's.
        same = f"{MESSAGES}.id = {FURTHER}.message_id"
        of_message = f" AND EXISTS (SELECT 1 FROM {MESSAGES} WHERE {same}{priority})" if is_urgent else ""  # noqa: S608
        count += f" + (SELECT COUNT(*) FROM {FURTHER} WHERE address = %(whom)s AND {lately}{of_message})"  # noqa: S608
    held = f"EXISTS (SELECT 1 FROM {HELD} WHERE {lately})"  # noqa: S608
    released = f"EXISTS (SELECT 1 FROM {HELD} WHERE {lately.replace('created', 'released')})"  # noqa: S608
    gathered = f"EXISTS (SELECT 1 FROM {GATHERED} WHERE {lately})"  # noqa: S608
    return f"SELECT {count}, {held} OR {released} OR {gathered}"


def _about(share: Share) -> Q:
    """Return the condition under which what was held is of that share."""
    about = Q(message__priority=Priority.URGENT) if share.is_urgent else Q()
    if share.name == "recipient":
        further = FurtherRecipient.objects.filter(address=share.whom).values("message_id")
        about &= Q(message__first_recipient=share.whom) | Q(message__in=further)
    elif share.name == "kind":
        about &= Q(message__kind=share.whom)
    return about
