"""Record results by group commit, several threads' in one transaction: faster. Without this, record_one() commits each.

A commit waits for the disk, and SQLite has one writer at a time: while one thread writes, the results of the others
gather, and the next one writes them all.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import connections, transaction

from flasky.mail.db.connections import alias
from flasky.mail.db.outages import is_outage
from flasky.mail.db.sql import insert_many, update_many
from flasky.mail.db.write_lock import one_writer
from flasky.mail.delivery.at_once import CHANGED, NOTED, can_write_at_once, write_at_once
from flasky.mail.delivery.counting import count
from flasky.mail.delivery.outcomes import Result, counts_of, drop_bodies, note_statuses, record_one
from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.runtime.forking import forget_in_child
from flasky.mail.signals import outcome_written

logger = logging.getLogger(__name__)

SENDING = State.SENDING.value
PLAIN_REPLY = 200  # characters


class _SomebodyWasQuicker(Exception):
    pass


class _Group:
    """Results that the thread which came with the first of them writes, while the others wait for its end."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.is_over = threading.Event()


_gathering: _Group | None = None
_adding = threading.Condition()  # whose lock its holder may take again
_writing = threading.Lock()
_recorders = 0  # threads that will record something soon
_seconds = 0.0  # that the last transaction took


def record(result: Result) -> str:
    """Return the message's state when it is committed, or LOST. Raise what the database raises; then nothing is."""
    connection = connections[alias()]
    if connection.in_atomic_block:  # no other thread can write into this transaction
        record_one(result)
    while not result.state:  # if who led its group could not write it, this thread tries
        group = _join(result)
        if group.results[0] is result:
            _lead(group, connection)
        else:
            group.is_over.wait()
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


def _join(result: Result) -> _Group:
    global _gathering
    with _adding:
        group = _gathering = _gathering or _Group()
        group.results.append(result)
        if len(group.results) >= _recorders:  # who leads it waits for no less
            _adding.notify_all()
    return group


def _lead(group: _Group, connection: Any) -> None:
    try:
        with _writing, one_writer():
            with _adding:
                # Half a transaction's time is well spent if it saves others the next one.
                _adding.wait_for(lambda: len(group.results) >= _recorders, timeout=_seconds / 2)
                _let_others_gather(group)
            _write(group.results, connection)
    finally:
        if _gathering is group:  # interrupted before its turn
            _let_others_gather(group)
        group.is_over.set()


def _let_others_gather(group: _Group) -> None:
    global _gathering
    with _adding:
        if _gathering is group:
            _gathering = None


def _write(results: Sequence[Result], connection: Any) -> None:
    global _seconds
    started = time.monotonic()
    try:
        _write_together(results, connection)
    except Exception as error:
        if is_outage(error):
            raise
        _write_alone(results[0])  # whatever is wrong with one of them: the others' threads will write their own
    finally:
        _seconds = min(time.monotonic() - started, 0.01)  # a database that hung once must not delay the next ones


def _write_together(results: Sequence[Result], connection: Any) -> None:
    with nullcontext() if _is_one_statement(results, connection) else transaction.atomic(using=connection.alias):
        if can_write_at_once(connection):
            ended = write_at_once(results, connection)
        else:
            ended = _write_one_after_the_other(results, connection)
        is_ours = len(ended) == len(results)
        written = results if is_ours else [result for result in results if result.message.pk in ended]
        note_statuses(written, connection)
        drop_bodies(written, connection.alias)
        outcome_written.send_robust(OutboxMessage)
    for result in written:
        result.state = result.changes["state"]
    if not results[0].state:
        _write_alone(results[0])


def _is_one_statement(results: Sequence[Result], connection: Any) -> bool:
    """Tell whether BEGIN and COMMIT would only be two more journeys to the database."""
    return (
        can_write_at_once(connection)
        and not outcome_written.has_listeners(OutboxMessage)
        and not any(result.statuses or result.message.is_sensitive for result in results)
    )


def _write_one_after_the_other(results: Sequence[Result], connection: Any) -> set[int]:
    if _finish_claims(results, connection).rowcount < len(results):
        raise _SomebodyWasQuicker
    _note_attempts([result.attempt for result in results], connection)
    count(map(counts_of, results), connection)
    return {result.message.pk for result in results}


def _write_alone(result: Result) -> None:
    """Write it as it is, or, if the database will never take that, with what the relay said in plain letters."""
    try:
        record_one(result)
    except Exception as error:
        if is_outage(error):
            raise
        number, plain = result.message.pk, _plain(result)
        logger.error("The reply to message %s cannot be stored as it is, so only its beginning is: %s", number, error)
        record_one(plain)
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
        [[_plain_text(each) if isinstance(each, str) else each for each in row] for row in result.statuses],
    )


def _plain_text(text: str) -> str:
    return text[:PLAIN_REPLY].encode("ascii", "backslashreplace").decode()


def _finish_claims(results: Sequence[Result], connection: Any) -> Any:
    """Write the messages' new values; return the cursor, which knows how many claims were still their holder's."""
    rows = [
        [each.changes[name] for name in CHANGED] + [None, None, each.message.pk, each.message.claim_token, SENDING]
        for each in results
    ]
    changed = (*CHANGED, "claim_token", "lease_expires_at")
    return update_many(OutboxMessage, changed, ("id", "claim_token", "state"), rows, connection)


def _note_attempts(attempts: Sequence[dict[str, Any]], connection: Any) -> None:
    insert_many(Attempt, NOTED, [[attempt[name] for name in NOTED] for attempt in attempts], connection)


@forget_in_child
def _forget_the_parents_threads() -> None:
    global _adding, _writing, _gathering, _recorders
    _adding, _writing, _gathering, _recorders = threading.Condition(), threading.Lock(), None, 0
