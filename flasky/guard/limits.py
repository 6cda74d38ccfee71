"""Allow only so much in so long: `take()` before anything is done that strangers could do without end.

The counts are in the database, for all processes on all hosts, and need no other server. Time is divided into periods
from the epoch on, so that around the end of one up to twice as much can happen in as long. A refusal writes nothing
and costs one look; where nothing is given back, none. Addresses and names are kept as keyed hashes only, and no longer
than their period.
"""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.db import connections, router, transaction
from django.db.models import F

from flasky.guard.deadlocks import despite_deadlocks
from flasky.guard.models import Tally
from flasky.mail.db import sql
from flasky.mail.runtime import clock

CLEAN_INTERVAL = 60  # s between two looks of a process for periods that are over
MOST_REMOVED = 1000  # rows at once

_clean_at = 0.0  # on the monotonic clock
_full: set[str] = set()  # keys of final limits that are reached

Done = TypeVar("Done")


class Limit(NamedTuple):
    """At most `most` in `seconds` of what `name` says, by or for `whom`; a most of 0 is no limit."""

    name: str
    whom: str
    most: int
    seconds: int
    is_final: bool = False  # nothing is given back: each process may remember that it is reached


class TooMany(Exception):
    """A limit is reached; in `seconds` its next period begins. The site's middleware answers it with 429."""

    def __init__(self, limit: Limit, seconds: int) -> None:
        super().__init__(f"{limit.name}: more than {limit.most} in {limit.seconds} s")
        self.limit, self.seconds = limit, seconds

    @property
    def minutes(self) -> int:
        return -(-self.seconds // 60)


def take(*limits: Limit) -> None:
    """Count one for each of the limits; raise TooMany, and count none, if one of them is reached.

    Call it outside of a transaction: others who are counted by the same limits wait until it ends.
    """
    take_for(lambda: None, *limits)


def take_for(work: Callable[[], Done], *limits: Limit) -> Done:
    """Do the work and take the limits in one transaction, neither without the other; return what the work returns.

    One commit less, and what everybody counts in the same row is locked no longer than a commit takes. The work is
    begun only if no limit is reached yet, and may be begun again.
    """
    now = _now()
    asked = {_key(limit, now): limit for limit in limits if limit.most}
    if not asked:
        return work()
    if full := [limit for key, limit in asked.items() if key in _full]:
        raise _too_many(full, now)
    _refuse_beyond(asked, now, taken=0)

    def work_and_count() -> Done:
        with transaction.atomic(using=_alias()):
            done = work()
            _count(asked, now)
        return done

    done = despite_deadlocks(work_and_count, connections[_alias()])
    _clean_now_and_then(now)
    return done


def give_back(*limits: Limit) -> None:
    """Uncount one for each of the limits: what was taken turned out to be harmless."""
    keys = [_key(limit, _now()) for limit in limits]
    Tally.objects.filter(pk__in=keys, count__gt=0).update(count=F("count") - 1)


def is_first(refusal: TooMany) -> bool:
    """Say once in each period of a limit that this is the first refusal: who goes on is not to fill the log."""
    try:
        take(refusal.limit._replace(name=f"{refusal.limit.name}, refused", most=1, is_final=True))
    except TooMany:
        return False
    return True


def count(limit: Limit) -> int:
    """Return how often the limit was taken in its present period."""
    return Tally.objects.filter(pk=_key(limit, _now())).values_list("count", flat=True).first() or 0


def _count(asked: dict[str, Limit], now: float) -> None:
    rows = [(key, 1) for key in sorted(asked)]  # everybody in the same order
    sql.add_each(Tally, ("key",), ("count",), rows, connections[_alias()])
    _refuse_beyond(asked, now, taken=1)


def _refuse_beyond(asked: dict[str, Limit], now: float, taken: int) -> None:
    counts = dict(Tally.objects.using(_alias()).filter(pk__in=asked).values_list("pk", "count"))
    full = {key: limit for key, limit in asked.items() if counts.get(key, 0) >= limit.most + taken}
    _full.update(key for key, limit in full.items() if limit.is_final)
    if full:
        raise _too_many(full.values(), now)


def _too_many(full: Iterable[Limit], now: float) -> TooMany:
    limit = max(full, key=lambda limit: _end(limit, now))
    return TooMany(limit, max(1, round(_end(limit, now) - now)))


def _key(limit: Limit, now: float) -> str:
    """Return the key of the period's row. An address could be guessed from a plain hash of it."""
    text = f"{limit.name}\n{limit.seconds}\n{limit.whom}".encode("utf-8", "surrogatepass")
    return f"{_end(limit, now):010d}-{hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()}"


def _end(limit: Limit, now: float) -> int:
    return (int(now) // limit.seconds + 1) * limit.seconds


def _clean_now_and_then(now: float) -> None:
    global _clean_at
    if time.monotonic() >= _clean_at:
        _clean_at = time.monotonic() + CLEAN_INTERVAL
        over = Tally.objects.filter(pk__lt=f"{int(now):010d}").values_list("pk", flat=True)[:MOST_REMOVED]
        Tally.objects.filter(pk__in=list(over)).delete()
        _full.difference_update([key for key in _full if key < f"{int(now):010d}"])


def _now() -> float:
    return clock.now().timestamp()


def _alias() -> str:
    return router.db_for_write(Tally)
