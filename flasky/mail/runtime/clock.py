"""Tell the time by one clock, the database's: the hosts' clocks may differ, and may jump.

No mail costs a statement for that. Now and then the database is asked; between, this host's monotonic clock, which
never jumps, goes on from there. SQLite has no clock but the host's.
"""

import logging
import time
from datetime import datetime
from datetime import timezone as zones
from typing import Any, NamedTuple

from django.apps import apps
from django.db import connections, router

logger = logging.getLogger(__name__)

STATEMENTS = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
}
TOO_FAR = 5  # s by which a host's clock may differ from the database's, and by which that may move at once
TRUST = 60  # s for which a measurement is good enough for those who only store, and look
SLIP = 1  # s by which this host's two clocks move against each other when it was set, or has slept


class _Measured(NamedTuple):
    """What the clocks said at the same moment, in seconds."""

    database: float
    host: float
    monotonic: float
    is_hosts: bool  # the database has no other clock

    def has_slipped(self) -> bool:
        return abs((time.time() - self.host) - (time.monotonic() - self.monotonic)) > SLIP


_last: _Measured | None = None
_jumped_at = float("-inf")  # on the monotonic clock


def now() -> datetime:
    """Return the database's time as far as it is known; never ask for it."""
    if _last is None or _last.is_hosts:
        return datetime.now(zones.utc)
    return datetime.fromtimestamp(_last.database + time.monotonic() - _last.monotonic, zones.utc)


def ahead() -> float:
    """Return by how many seconds this host's clock was ahead of the database's when that was last asked."""
    return _last.host - _last.database if _last else 0.0


def renew() -> None:
    """Ask the database once in a while, or when this host was set or has slept. Raise what the database raises."""
    last = _last
    if last is None or time.monotonic() - last.monotonic > TRUST or (last.has_slipped() and not last.is_hosts):
        measure()


def measure() -> float:
    """Ask the database, and return by how many seconds its clock has jumped since it was asked last.

    Raise what the database raises.
    """
    global _last, _jumped_at
    before, _last = _last, _ask()
    if before is None:
        return 0.0
    jump = (_last.database - before.database) - (_last.monotonic - before.monotonic)
    if abs(jump) <= TOO_FAR:
        return 0.0
    _jumped_at = _last.monotonic
    logger.warning(
        "The database's clock has jumped by %+.0f s, or this machine has slept: nothing fails for that, and what "
        "waits for a time that was wrong is due. Let NTP keep the clock of the database's host.",
        jump,
    )
    return jump


def seconds_since_jump() -> float:
    return time.monotonic() - _jumped_at


def forget() -> None:
    """Know nothing of the clocks, as a process that has just begun."""
    global _last, _jumped_at
    _last, _jumped_at = None, float("-inf")


def _ask() -> _Measured:
    connection: Any = connections[router.db_for_write(apps.get_model("flasky_mail", "OutboxMessage"))]
    statement = STATEMENTS.get(connection.vendor)
    if statement is None:
        return _Measured(host := time.time(), host, time.monotonic(), is_hosts=True)
    connection.ensure_connection()  # before the watch runs
    host, began = time.time(), time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchone()[0]
    half = (time.monotonic() - began) / 2  # the answer is of some moment between
    seconds = found.replace(tzinfo=zones.utc).timestamp() if isinstance(found, datetime) else float(found)
    return _Measured(seconds, host + half, began + half, is_hosts=False)
