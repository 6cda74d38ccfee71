"""Measure how long messages wait from being stored, or from when they were to be sent, until they are accepted."""

from datetime import timedelta
from statistics import quantiles
from typing import NamedTuple

from flasky.mail.models import Attempt

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
    if not ends:
        return None
    steps = quantiles([max(0.0, each) for each in ends], n=20, method="inclusive") if len(ends) > 1 else ends * 19
    return Waited(len(ends), steps[9], steps[18])
