"""How long messages wait: at some moments, the longest, until all is normal again."""

from bisect import bisect_right
from itertools import accumulate, islice
from operator import attrgetter

NORMAL = 5  # s; what has waited longer has met some outage


def ages(world, moments):
    """Yield, for each moment, how long each message that waits then has waited, the longest first."""
    first, messages = 0, world.messages
    for moment in moments:
        while first < len(messages) and messages[first].finished_at <= moment:
            first += 1
        end = bisect_right(messages, moment, lo=first, key=attrgetter("stored_at"))
        yield [moment - each.stored_at for each in islice(messages, first, end) if each.finished_at > moment]


def at_percent(ordered, percent):
    """Return what `percent` per cent of the values do not exceed; the largest comes first."""
    return ordered[len(ordered) * (100 - percent) // 100] if ordered else 0.0


def peak(world):
    """Return the largest number of messages that waited at the same time."""
    changes = [(message.stored_at, 1) for message in world.messages]
    changes += [(message.finished_at, -1) for message in world.messages]
    return max(accumulate(change for _, change in sorted(changes)))


def seconds_to_normal(world, scenario):
    """Return how long after the outage's end the last message left that had waited longer than is normal."""
    late = [each.finished_at for each in world.messages if each.finished_at - each.stored_at > NORMAL]
    return max(0.0, max(late, default=0.0) - scenario.outage_ends)


def moments_of_interest(world, scenario, number):
    """Return moments from the start until all is normal again, and a little longer."""
    end = scenario.outage_ends + seconds_to_normal(world, scenario)
    span = min(1.1 * end, world.now) if end else world.now
    return [span * step / number for step in range(number + 1)]
