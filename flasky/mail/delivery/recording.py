"""Record what the relay said: the results of several threads in one transaction.

A commit waits for the disk, and SQLite has one writer at a time: while one thread writes, the results of the others
gather, and the next one writes them all.
"""

import logging
import os
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction
from django.utils import timezone

from flasky.mail.db.connections import alias
from flasky.mail.db.outages import is_outage
from flasky.mail.db.sql import add, insert_many, update_many
from flasky.mail.db.write_lock import one_writer
from flasky.mail.models import WAITS, Attempt, OutboxMessage, State, Tally

logger = logging.getLogger(__name__)

SENDING = State.SENDING.value
LOST = "lost"  # somebody else had taken the message over
TALLY_SLOTS = 16
PLAIN_REPLY = 200  # characters

# What the end of an attempt changes in its message.
CHANGED = (
    "state",
    "next_attempt_at",
    "finished_at",
    "attempt_count",
    "lost_claims",
    "unknown_ends",
    "last_reply",
    "outcomes",
    "possible_duplicate",
)
NOTED = (
    "message_id",
    "claim_token",
    "started_at",
    "seconds",
    "outcome",
    "reply",
    "server",
    "secured",
    "logged_in",
    "worker",
)


@dataclass(eq=False)
class Result:
    """What became of a claimed message: values for what is CHANGED in it, and for what is NOTED of the attempt."""

    message: OutboxMessage
    changes: dict[str, Any]
    attempt: dict[str, Any]
    state: str = ""  # once it is recorded: the message's, or LOST


class _SomebodyWasQuicker(Exception):
    pass


_waiting: list[Result] = []
_adding = threading.Condition()
_recorders = 0  # threads that will record something soon
_seconds = 0.0  # that the last transaction took


def record(result: Result) -> str:
    """Return the message's state when it is committed, or LOST. Raise what the database raises; then nothing is."""
    connection = connections[alias()]
    if connection.in_atomic_block:  # no other thread can write into this transaction
        _write_one(result, connection)
        return result.state
    with _adding:
        _waiting.append(result)
        _adding.notify_all()
    with one_writer():
        if not result.state:
            _write_what_waits(result, connection)
    return result.state


@contextmanager
def recorder() -> Iterator[None]:
    """Count this thread among those for whose results a transaction is delayed a little."""
    global _recorders
    with _adding:
        _recorders += 1
    try:
        yield
    finally:
        with _adding:
            _recorders -= 1
            _adding.notify_all()


def _write_what_waits(own: Result, connection: Any) -> None:
    global _seconds
    with _adding:
        # Half a transaction's time is well spent if it saves others the next one.
        _adding.wait_for(lambda: len(_waiting) >= _recorders, timeout=_seconds / 2)
        results = [own, *(result for result in _waiting if result is not own)]
        _waiting.clear()
    started = time.monotonic()
    try:
        _write_together(results, connection)
    except Exception as error:
        if is_outage(error):  # the others wait for this thread
            raise
        _write_alone(own, connection)  # whatever is wrong with one of them: the others' threads will write their own
    finally:
        _seconds = min(time.monotonic() - started, 0.01)  # a database that hung once must not delay the next ones


def _write_together(results: Sequence[Result], connection: Any) -> None:
    with transaction.atomic(using=connection.alias):
        # PostgreSQL takes all statements before it answers; the others have no such mode.
        with getattr(connection.connection, "pipeline", nullcontext)():
            updated = _finish_claims(results, connection)
            _note_attempts([result.attempt for result in results], connection)
            _count(results, connection)
        if updated.rowcount < len(results):
            raise _SomebodyWasQuicker
    for result in results:
        result.state = result.changes["state"]


def _write_alone(result: Result, connection: Any) -> None:
    """Write it as it is, or, if the database will never take that, with what the relay said in plain letters."""
    try:
        _write_one(result, connection)
    except Exception as error:
        if is_outage(error):
            raise
        number, plain = result.message.pk, _plain(result)
        logger.error("The reply to message %s cannot be stored as it is, so only its beginning is: %s", number, error)
        _write_one(plain, connection)
        result.state = plain.state


def _plain(result: Result) -> Result:
    """Return the same in ASCII and in short: a column may have another character set than ours, or too little room."""
    outcomes = {
        address: {**outcome, "reply": _plain_text(outcome["reply"])}
        for address, outcome in result.changes["outcomes"].items()
    }
    reply = _plain_text(result.attempt["reply"])
    return Result(
        result.message,
        result.changes | {"last_reply": reply, "outcomes": outcomes},
        result.attempt | {"reply": reply, "worker": _plain_text(result.attempt["worker"])},
    )


def _plain_text(text: str) -> str:
    return text[:PLAIN_REPLY].encode("ascii", "backslashreplace").decode()


def _write_one(result: Result, connection: Any) -> None:
    state, message = result.changes["state"], result.message
    with transaction.atomic(using=connection.alias):
        if _finish_claims([result], connection).rowcount:
            _note_attempts([result.attempt], connection)
            _count([result], connection)
        else:
            noted = Attempt.objects.filter(message=message, claim_token=message.claim_token)
            match noted.values_list("outcome", flat=True).first():
                case None:
                    _note_attempts([result.attempt | {"outcome": Attempt.Outcome.LATE}], connection)
                    state = LOST
                case Attempt.Outcome.LATE:
                    state = LOST
                case _:  # our own commit, whose confirmation was lost with the connection
                    state = OutboxMessage.objects.values_list("state", flat=True).get(pk=message.pk)
    result.state = state


def _finish_claims(results: Sequence[Result], connection: Any) -> Any:
    """Write the messages' new values; return the cursor, which knows how many claims were still their holder's."""
    rows = [
        [*(each.changes[name] for name in CHANGED), None, None, each.message.pk, each.message.claim_token, SENDING]
        for each in results
    ]
    changed = (*CHANGED, "claim_token", "lease_expires_at")
    return update_many(OutboxMessage, changed, ("id", "claim_token", "state"), rows, connection)


def _note_attempts(attempts: Sequence[dict[str, Any]], connection: Any) -> None:
    insert_many(Attempt, NOTED, [[attempt[name] for name in NOTED] for attempt in attempts], connection)


def _count(results: Sequence[Result], connection: Any) -> None:
    """Count in this hour what has been tried and what has ended."""
    counts = Counter({"sent": 0, "failed": 0})
    for result in results:
        counts.update(_counted(result))
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    # In one order, so that few different statements come about.
    add(Tally, {"hour": hour, "slot": _slot()}, dict(sorted(counts.items())), connection)


def _slot() -> int:
    """Return a slot by host and number: in containers many processes have the same number."""
    return zlib.crc32(f"{socket.gethostname()} {os.getpid()}".encode()) % TALLY_SLOTS


def _counted(result: Result) -> dict[str, int]:
    """Return what to add to the tally's columns."""
    state, finished_at = result.changes["state"], result.changes["finished_at"]
    counts = {Attempt.Outcome(result.attempt["outcome"]).name.lower(): 1}
    if result.changes["attempt_count"] > 1:
        counts["retries"] = 1
    if state == State.FAILED:
        counts["failed"] = 1
    if state == State.SENT:
        waited = max(0.0, (finished_at - result.message.queued_at).total_seconds())  # the hosts' clocks may differ
        column = next(column for limit, column in WAITS.items() if waited <= limit)
        counts |= {"sent": 1, column: 1, "waited_ms": round(waited * 1000)}
    return counts


def _forget_the_parents_threads() -> None:
    global _adding, _recorders
    _adding, _recorders = threading.Condition(), 0
    _waiting.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_the_parents_threads)
