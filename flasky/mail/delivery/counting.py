"""Count by the hour what was tried and what has ended, in the transaction that records it."""

import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from flasky.mail.db.sql import add
from flasky.mail.models import HourlyCount
from flasky.mail.runtime import clock
from flasky.mail.runtime.identity import this_process

COUNT_SLOTS = 16


def count(amounts: Iterable[dict[str, int]], connection: Any) -> None:
    """Add to the columns of this hour what each of several results has to add."""
    sums = Counter({"sent": 0, "failed": 0})
    for each in amounts:
        sums.update(each)
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    # In one order, so that few different statements come about.
    add(HourlyCount, {"hour": hour, "slot": slot()}, dict(sorted(sums.items())), connection)


def slot() -> int:
    """Return a slot by host and number: in containers many processes have the same number."""
    return zlib.crc32(this_process().encode()) % COUNT_SLOTS
