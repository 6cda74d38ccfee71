"""Measure how long messages wait from being stored, or from when they were to be sent, until they are accepted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import quantiles
from typing import NamedTuple

from flasky.mail.models import Attempt, OutboxMessage, State

MOST_OF_AN_HOUR = 200  # messages; so many rows of an index are read for each hour
NEWEST = 1000  # attempts that one look reads
ACCEPTED = (Attempt.Outcome.ACCEPTED, Attempt.Outcome.PARTLY)


class Waited(NamedTuple):
    messages: int
    median: float  # s
    p95: float  # s


def waited() -> Waited | None:
    """Return what those of the newest attempts say that were accepted; None if none was."""
    newest = Attempt.objects.order_by("-pk").values_list("started_at", "seconds", "outcome", "message__queued_at")
    ends = [
        (started_at + timedelta(seconds=seconds) - queued_at).total_seconds()
        for started_at, seconds, outcome, queued_at in newest[:NEWEST]
        if outcome in ACCEPTED
    ]
    return _summed_up(ends)


def waited_per_hour(hours: Sequence[datetime]) -> list[Waited | None]:
    """Return for each hour what the first that were stored in it say, if they are accepted by now; else None."""
    return [_waited_of(hour) for hour in hours]


def _waited_of(hour: datetime) -> Waited | None:
    stored = OutboxMessage.objects.filter(
        state=State.SENT, created_at__gte=hour, created_at__lt=hour + timedelta(hours=1)
    )
    times = stored.order_by("created_at").values_list("queued_at", "finished_at")[:MOST_OF_AN_HOUR]
    return _summed_up([(finished - queued).total_seconds() for queued, finished in times if finished])


def _summed_up(seconds: list[float]) -> Waited | None:
    if not seconds:
        return None
    least = [max(0.0, each) for each in seconds]
    steps = quantiles(least, n=20, method="inclusive") if len(least) > 1 else least * 19
    return Waited(len(least), steps[9], steps[18])
