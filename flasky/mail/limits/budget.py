"""Hold what is stored beyond the mail budget, so that nobody can make us send without end.

A budget says how many messages may be stored for each recipient, of each kind and in total within a minute, an hour and
a day; urgent ones are counted by themselves. What has been spent is counted in the outbox itself, by indexes: a counter
would be a row that everybody who stores a mail has to wait for. While a limit is far, a process stores a sixteenth of
what is left before it counts again, so that up to 16 processes together do not exceed it; near the limit it counts for
each message, and adds what its other threads have not committed yet.
"""

import logging
import threading
import time
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connections, router

from flasky.mail import OutboxFull
from flasky.mail.conf import conf
from flasky.mail.db.write_lock import take_write_lock
from flasky.mail.limits.spent import Limit, Share, left
from flasky.mail.models import OutboxMessage, OverBudget, Priority, State
from flasky.mail.runtime.forking import forget_in_child

logger = logging.getLogger(__name__)

PERIODS = (60, 3600, 86400)  # s
PROCESSES = 16
NEAR = 64  # messages left, from which on each one is counted
PARTS = 60  # of a period, after one of which a process counts anew
MOST_REMEMBERED = 10_000  # shares of which a process knows something
BUSY = 1  # s since the message before
TELL_INTERVAL = 3600  # s in which a process tells once that a limit is reached


# What a transaction does after its commit: another list after each commit and rollback, also of a savepoint.
Callbacks = list[Any]


@dataclass
class _Known:
    """What this process knows of a limit, or of all those of a share: for how many more it need not count again."""

    room: int
    until: float  # on the monotonic clock
    reached: Limit | None = None
    within: Callbacks | None = None  # the transaction that has reached it; None: it is committed

    def counts(self, now: float, within: Callbacks) -> bool:
        is_believed = self.reached and (self.within is None or self.within is within)
        return now < self.until and bool(self.room or is_believed)


class _Uncommitted:
    """One of a share that a thread spends and has not committed yet, so that the other threads cannot count it."""

    def __init__(self, connection: Any) -> None:
        self.thread = threading.get_ident()
        self._connection = weakref.ref(connection)
        self._is_stored = False

    def note_stored(self, connection: Any, commit: Callable[[], None]) -> None:
        self._commit = commit
        try:
            connection.on_commit(commit)
        finally:
            self._is_stored = True

    def is_open(self) -> bool:
        """Return whether its transaction is. A rollback tells nobody, but there is nothing to do any more after it."""
        if not self._is_stored:
            return True
        connection = self._connection()
        return connection is not None and any(self._commit in callback for callback in [*connection.run_on_commit])


_shares: OrderedDict[Share, _Known] = OrderedDict()
_limits: dict[Share, dict[Limit, _Known]] = {}
_uncommitted: dict[Share, list[_Uncommitted]] = defaultdict(list)
_told: dict[str, float] = {}
_stored_at = float("-inf")  # on the monotonic clock
_lock = threading.Lock()


@contextmanager
def spending(message: OutboxMessage) -> Iterator[OverBudget | None]:
    """Store the message inside this; if it is beyond the budget it is held now, and what says why is to be stored too.

    Raise OutboxFull if as many are held as MAIL_BUDGET_HELD allows.
    """
    connection: Any = connections[router.db_for_write(OutboxMessage)]
    within: Callbacks = connection.run_on_commit
    reached, unknown = _from_memory(shares_of(message), within)
    if reached or unknown:
        take_write_lock(connection)
    mine = _Uncommitted(connection)
    try:
        for share in unknown:
            reached = reached or _look(share, within, mine)
        yield _hold(message, reached) if reached else None
    finally:
        if unknown:
            mine.note_stored(connection, lambda: _commit(unknown, mine.thread, within))


def shares_of(message: OutboxMessage) -> Iterator[Share]:
    """Return the parts of the budget that the message is under, those first that hold the most."""
    is_urgent = message.priority == Priority.URGENT
    if any(conf.MAIL_BUDGET_RECIPIENT):
        for address in message.recipients:
            yield Share("recipient", address.lower(), is_urgent)
    if message.kind and any(conf.MAIL_BUDGET_KIND):
        yield Share("kind", message.kind, is_urgent)
    if any(conf.MAIL_BUDGET_URGENT if is_urgent else conf.MAIL_BUDGET_TOTAL):
        yield Share("urgent" if is_urgent else "total", "", is_urgent)


def limits_of(share: Share) -> list[Limit]:
    """Return the limits of the share, that of the longest period first."""
    numbers = getattr(conf, f"MAIL_BUDGET_{share.name.upper()}")
    return [Limit(share, most, seconds) for seconds, most in zip(PERIODS, numbers, strict=False) if most][::-1]


def _from_memory(shares: Iterator[Share], within: Callbacks) -> tuple[Limit | None, list[Share]]:
    """Spend one of each share, or find that one is used up; return also those of which too little is known."""
    global _stored_at
    now, unknown = time.monotonic(), []
    with _lock:
        is_busy, _stored_at = now - _stored_at < BUSY, now
        for share in shares:
            known = _shares.get(share)
            if known and known.counts(now, within):
                if known.reached:
                    return known.reached, []
                known.room -= 1
            elif known is None and is_busy and share.name == "recipient":
                # One of many, as of a newsletter. Only who comes again is looked up.
                _remember(share, _Known(0, now))
            else:
                unknown.append(share)
    return None, unknown


def _look(share: Share, within: Callbacks, mine: _Uncommitted) -> Limit | None:
    """Return the limit that is reached, if one is; know more of the share then."""
    now = time.monotonic()
    with _lock:
        believed = [spent for spent in _uncommitted.pop(share, ()) if spent.is_open()]
        _uncommitted[share] = [*believed, mine]
        limits = dict(_limits.get(share, {}))
    # Its own are counted, for they are in this very transaction; those of the other threads nobody sees yet.
    others = sum(spent.thread != mine.thread for spent in believed)
    most_spent = None  # in a longer period, and so in a shorter one too
    for limit in limits_of(share):
        if limit in limits and limits[limit].counts(now, within):
            continue
        room = 0 if most_spent is None else limit.most - most_spent
        if room <= 0:
            room = left(limit) - others
            most_spent = limit.most - room
        part = room // PROCESSES if room >= NEAR else 0
        limits[limit] = _Known(part, now + limit.seconds / PARTS, limit if room <= 0 else None, within)
        if room <= 0:
            break
    with _lock:
        return _conclude(share, limits)


def _conclude(share: Share, limits: dict[Limit, _Known]) -> Limit | None:
    """Remember for the share what holds for all of its limits, and take that from each."""
    room, until = min(known.room for known in limits.values()), min(known.until for known in limits.values())
    reached = next((known for known in limits.values() if known.reached), None)
    for known in limits.values():
        known.room -= room
    _limits[share] = limits
    _remember(share, reached or _Known(room, until))
    return reached.reached if reached else None


def _remember(share: Share, known: _Known) -> None:
    _shares[share] = known
    _shares.move_to_end(share)
    if len(_shares) > MOST_REMEMBERED:
        forgotten, _ = _shares.popitem(last=False)
        _limits.pop(forgotten, None)


def _commit(shares: list[Share], thread: int, within: Callbacks) -> None:
    with _lock:
        for share in shares:
            for known in _limits.get(share, {}).values():
                if known.within is within:
                    known.within = None
            if rest := [spent for spent in _uncommitted.pop(share, ()) if spent.thread != thread]:
                _uncommitted[share] = rest


def _hold(message: OutboxMessage, limit: Limit) -> OverBudget:
    if seconds := OverBudget.objects.seconds_to_room():
        raise OutboxFull(seconds)
    message.state = State.HELD
    over = OverBudget(share=limit.share.name, most=limit.most, seconds=limit.seconds, created_at=message.created_at)
    if _is_news(str(over)):
        # After the commit: whoever listens may send a mail about it, in a transaction of its own.
        connections[router.db_for_write(OutboxMessage)].on_commit(lambda: _tell(over), robust=True)
    return over


def _is_news(limit: str) -> bool:
    return time.monotonic() - _told.get(limit, float("-inf")) >= TELL_INTERVAL


def _tell(over: OverBudget) -> None:
    with _lock:
        if not _is_news(str(over)):
            return
        _told[str(over)] = time.monotonic()
    logger.error(
        "The mail budget is used up: %s. What is stored beyond it is held, and leaves when the budget allows; look at "
        "what is held in the outbox, release or cancel it, or raise the limit.",
        over,
    )


@forget_in_child
def forget() -> None:
    """Know nothing of what another process has stored; its lock may have been taken at that moment."""
    global _lock, _stored_at
    _lock, _stored_at = threading.Lock(), float("-inf")
    for known in (_shares, _limits, _uncommitted, _told):
        known.clear()  # type: ignore[attr-defined]
