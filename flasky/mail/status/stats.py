"""Read the numbers of the outbox that programs are told, the same from every process that is asked.

Those that count for ever are sums of the hourly counts, so they never fall, whatever is pruned. The others are read by
an index and end at HIGHEST_STAT, so that a look is quick with a million messages.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db.models import Max, QuerySet, Sum

from flasky.mail.models import Attempt, Gathered, HourlyCount, OutboxMessage, OverBudget, Process, RelayOutage, State
from flasky.mail.runtime import clock
from flasky.mail.status.clocks import seconds_ahead

HIGHEST_STAT = 100_000
# A reply that came too late counts for nobody: the one who took the message over has counted already.
OUTCOMES = tuple(outcome.value for outcome in Attempt.Outcome if outcome != Attempt.Outcome.LATE)
SUMS = ("sent", "failed", "retries", "waited_ms", *OUTCOMES)


@dataclass(frozen=True)
class Stats:
    stored: int
    sums: dict[str, int]  # of the hourly counts' columns
    depth: dict[str, int]  # messages in each state that is not finished
    age: dict[str, float]  # s that the one of them has waited that has waited longest
    due: int
    overdue: float  # s since the first due message became due
    in_flight: int  # attempts
    processes: int  # that deliver
    threads: int  # of theirs
    stuck: int  # of the processes
    relays_away: int
    clocks: dict[str, float]  # s by which each host's is ahead of the database's
    over_budget: int  # messages that are held for it
    gathering: int  # messages that wait for a digest


def read_stats() -> Stats:
    clock.measure()
    now, due, alive = clock.now(), OutboxMessage.objects.due(), Process.objects.alive()
    first_due = due.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    sums, pruned = _counted_for_ever(now)
    newest = OutboxMessage.objects.aggregate(number=Max("pk"))["number"]
    processes = list(alive)
    return Stats(
        stored=max(newest or 0, pruned),
        sums=sums,
        depth={state.value: _counted(OutboxMessage.objects.filter(state=state)) for state in State.not_finished()},
        age={state.value: _longest_wait(state, now) for state in State.not_finished()},
        due=_counted(due),
        overdue=_seconds(first_due, now),
        in_flight=_in_flight(),
        processes=len(processes),
        threads=sum(process.threads for process in processes),
        stuck=sum(process.stuck_since is not None for process in processes),
        relays_away=RelayOutage.objects.for_all().count(),
        clocks=seconds_ahead(processes),
        over_budget=_counted(OverBudget.objects.waiting()),
        gathering=_counted(Gathered.objects.waiting()),
    )


def _counted_for_ever(now: datetime) -> tuple[dict[str, int], int]:
    """Return the sum of each column, and the highest number of a pruned message."""
    yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    before, pruned_before = _settled(yesterday)
    since, pruned_since = _summed(HourlyCount.objects.filter(hour__gte=yesterday))
    return {name: before[name] + since[name] for name in SUMS}, max(pruned_before, pruned_since)


@lru_cache(maxsize=1)
def _settled(moment: datetime) -> tuple[dict[str, int], int]:
    """Return what was counted before yesterday, which does not change any more: read once a day by each process."""
    return _summed(HourlyCount.objects.filter(hour__lt=moment))


def _summed(counts: QuerySet[HourlyCount]) -> tuple[dict[str, int], int]:
    found = counts.aggregate(**{f"sum_{name}": Sum(name) for name in SUMS}, highest=Max("highest_number"))
    return {name: int(found[f"sum_{name}"] or 0) for name in SUMS}, found["highest"] or 0


def _counted(messages: QuerySet[Any]) -> int:
    return messages.values("pk")[:HIGHEST_STAT].count()


def _longest_wait(state: State, now: datetime) -> float:
    found = OutboxMessage.objects.filter(state=state).waits_longest()
    return _seconds(found[0], now) if found else 0.0


def _seconds(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0


def _in_flight() -> int:
    """Return how many claims there are: their holders have one attempt at a time on the wire."""
    claimed = OutboxMessage.objects.filter(state=State.SENDING).values("claim_token")[:HIGHEST_STAT]
    return len(set(claimed.values_list("claim_token", flat=True)))
