"""Claim, hand over, record, in that order: every road out of the outbox ends here."""

import logging
import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from copy import copy
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connections
from django.utils import timezone

from flasky.mail.db.connections import alias, drop_connection, pause, release_connection
from flasky.mail.db.outages import is_outage
from flasky.mail.db.sql import count_each
from flasky.mail.db.write_lock import one_writer
from flasky.mail.delivery.claims import kept
from flasky.mail.delivery.log import log_attempt
from flasky.mail.delivery.outcomes import is_too_old, result_of
from flasky.mail.delivery.recording import LOST, record, recorder
from flasky.mail.limits.connections import allow_fewer
from flasky.mail.limits.rate import Unlimited, reserve
from flasky.mail.models import OutboxMessage, Priority
from flasky.mail.runtime.identity import this_thread
from flasky.mail.transports import NoSeat, Transport, TransportUnavailable, borrow, new_transport
from flasky.mail.transports.replies import Reply, Verdict

logger = logging.getLogger(__package__)
T = TypeVar("T")

CLAIM_LIMIT = 50  # messages
CLAIM_SECONDS = 1  # s of one connection's work
SEAT_PAUSE = 1  # s, more or less, between two looks for a connection that may be opened


def deliver_due(stop: Callable[[], bool] = lambda: False, delivered: Callable[[], None] = lambda: None) -> Counter[str]:
    """Deliver until nothing is due or `stop()`; return how many messages went to each state.

    `delivered()` is called after each message that the relay has answered.
    Raise TransportUnavailable if the transport cannot be reached. It is opened before anything is claimed, so that a
    relay that is down costs no message an attempt.
    """
    states: Counter[str] = Counter()

    def note(state: str) -> None:
        states[state] += 1
        delivered()

    while OutboxMessage.objects.due().exists():
        release_connection()
        try:
            with borrow() as transport:
                while not transport.must_leave and _deliver_share(transport, stop, note):
                    pass
            if stop() or not transport.must_leave:
                break
        except NoSeat:
            pass
        except TransportUnavailable as trouble:
            if not (trouble.is_crowded and allow_fewer(new_transport().server.name, str(trouble))):
                raise
        pause(SEAT_PAUSE * random.uniform(0.5, 1.5), stop)
        if stop():
            break
    release_connection()
    return states


def _deliver_share(transport: Transport, stop: Callable[[], bool], note: Callable[[str], None]) -> bool:
    """Deliver one claim; return False if there was none."""
    share, priorities = _share(transport.pace)
    if stop() or not share:
        return False
    moments = reserve(transport.server.name, share, stop)
    try:
        claim = []
        if moments.count:
            claim = OutboxMessage.objects.claim(moments.count, this_thread(), one_writer(), moments.of(priorities))
        if claim:
            _deliver_in_time(claim, transport, moments, stop, note)
        return bool(claim)
    finally:
        moments.give_back()


def _deliver_in_time(
    claim: list[OutboxMessage],
    transport: Transport,
    moments: Unlimited,
    stop: Callable[[], bool],
    note: Callable[[str], None],
) -> None:
    """Deliver each message of the claim at its moment; what has none is given back."""
    started, done = time.monotonic(), 0
    with closing(deliver(claim, transport, stop)) as ends:
        for state in ends:
            note(state)
            done += 1
            if done < len(claim) and not moments.wait(stop):
                break
    transport.pace = (time.monotonic() - started) / (done or 1)
    if transport.seat:
        transport.seat.has_delivered = True


def _share(pace: float) -> tuple[int, list[Priority]]:
    """Return how many messages to claim, and of which priorities some are due, the most urgent first.

    It is no more than the relay takes soon, nor than this thread's part of what is due and most urgent.
    """
    most = min(CLAIM_LIMIT, int(CLAIM_SECONDS / max(pace, 0.001)) or 1)
    enough = most * settings.MAIL_WORKERS
    each = [OutboxMessage.objects.due().filter(priority=priority).values("pk")[:enough] for priority in Priority]
    counts = zip(Priority, count_each(each, connections[alias()]), strict=True)
    due = {priority: count for priority, count in counts if count}
    return min(most, math.ceil(next(iter(due.values()), 0) / settings.MAIL_WORKERS)), list(due)


def deliver(
    claim: Sequence[OutboxMessage], transport: Transport, stop: Callable[[], bool] = lambda: False
) -> Generator[str, None, None]:
    """Hand the messages of one claim to the transport, record each reply and yield each new state.

    What is left of the claim after `stop()`, or when the transport is not available any more, is given back.
    """
    waiting = deque(claim)
    token = claim[0].claim_token
    assert token is not None
    with kept(token), recorder():
        try:
            # Nobody holds a database connection while waiting for a server that may take its time.
            release_connection()
            circumstances, started_at = _circumstances(token, transport), timezone.now()
            for replies in transport.deliver_each(claim):
                result = result_of(waiting.popleft(), replies, circumstances | {"started_at": started_at})
                state = _insist(partial(record, result), stop)
                release_connection()
                log_attempt(result)
                yield state
                if state == LOST or stop():  # lost together, by a holder who was not heard of for too long
                    break
                started_at = timezone.now()
        except TransportUnavailable as trouble:
            upsetting = waiting.popleft()
            if is_too_old(upsetting, timezone.now()):
                replies = dict.fromkeys(upsetting.remaining_recipients, Reply(Verdict.POSTPONED, str(trouble)))
                result = result_of(upsetting, replies, circumstances | {"started_at": started_at})
                _insist(partial(record, result), stop)
                log_attempt(result)
            else:
                # Behind the others that are due: if it is this message that upsets the relay, they still get through.
                _insist(lambda: copy(upsetting).release(timezone.now()), stop)
            raise
        except GeneratorExit:  # whoever counts the states wants no more
            raise
        except BaseException:
            waiting.clear()  # one of them may be on the wire: only the lease knows how to end this
            raise
        finally:
            if waiting:
                rest = OutboxMessage.objects.filter(pk__in=[message.pk for message in waiting])
                _insist(lambda: rest.release(token), stop)


def _circumstances(token: UUID, transport: Transport) -> dict[str, Any]:
    """Return what all attempts at the messages of a claim have in common."""
    server = transport.server
    return {
        "claim_token": token,
        "server": server.name[:255],
        "secured": server.security != "none",
        "logged_in": server.logged_in,
        "worker": this_thread(),
    }


def _insist(write: Callable[[], T], stop: Callable[[], bool]) -> T:
    """Write, again and again while the database takes no write: what the relay said exists nowhere else.

    After `stop()` only for MAIL_STOP_TIMEOUT seconds more; then the lease runs out and the doubt is noted.
    """
    pause, stopped_at = 0.05, 0.0  # s
    while True:
        try:
            return write()
        except Exception as error:
            if connections[alias()].in_atomic_block or not is_outage(error):
                raise
            if stop():
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at >= settings.MAIL_STOP_TIMEOUT:
                    raise
            if pause == 0.05:
                logger.error("A reply cannot be recorded; trying until it can: %s", error)
            drop_connection(error)
            time.sleep(pause)
            pause = min(pause * 2, 2)
