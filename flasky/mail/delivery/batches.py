"""Say how many messages to claim at once, and of which priorities."""

import math
import time
from typing import NamedTuple

from flasky.mail.conf import conf
from flasky.mail.db.connections import alias
from flasky.mail.models import OutboxMessage, Priority
from flasky.mail.models.written_once import count_due
from flasky.mail.runtime import clock

CLAIM_LIMIT = 50  # messages
CLAIM_SECONDS = 1  # s of one connection's work
TRUST = 0.2  # s for which what was counted is believed: something more urgent may come

# Written without a lock: of two threads at the same time one may believe what was counted for another, once more.
_plenty: list[Priority] = []  # priorities of which some were due, the most urgent first, when there was enough for all
_claims_left = 0  # for which it was enough, by any of this process's threads
_believed_until = 0.0  # on the monotonic clock


class Batch(NamedTuple):
    size: int  # messages to claim
    priorities: list[Priority]  # of which some are due, the most urgent first
    is_counted: bool  # by this thread; otherwise they may be gone by now, and others have come


def next_batch(pace: float) -> Batch:
    """Return no more than the relay takes soon, nor than this thread's part of what is due and most urgent.

    Where another thread has just counted enough for all, that is believed.
    """
    global _plenty, _claims_left, _believed_until
    most, workers = min(CLAIM_LIMIT, int(CLAIM_SECONDS / max(pace, 0.001)) or 1), conf.MAIL_WORKERS
    if _claims_left and time.monotonic() < _believed_until:
        _claims_left -= 1
        return Batch(most, _plenty, is_counted=False)
    due = _count_due(most * workers)
    first = next(iter(due.values()), 0)
    is_enough = most == CLAIM_LIMIT and first == most * workers
    _plenty, _claims_left, _believed_until = list(due), is_enough * (workers - 1), time.monotonic() + TRUST
    return Batch(min(most, math.ceil(first / workers)), list(due), is_counted=True)


def _count_due(enough: int) -> dict[Priority, int]:
    counts = zip(Priority, count_due(OutboxMessage, alias(), clock.now(), enough), strict=True)
    return {priority: count for priority, count in counts if count}
