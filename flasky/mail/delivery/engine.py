"""Claim, hand over, record, in that order: every road out of the outbox ends here."""

import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from copy import copy
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import connections

from flasky.mail.conf import conf
from flasky.mail.db.connections import alias, drop_connection, pause, release_connection
from flasky.mail.db.outages import is_outage
from flasky.mail.db.write_lock import one_writer
from flasky.mail.delivery.alarms import alarm_after, end_alarm, keep_back
from flasky.mail.delivery.batches import CLAIM_LIMIT, next_batch
from flasky.mail.delivery.claims import renewing
from flasky.mail.delivery.giving_up import given_up_before, is_too_old
from flasky.mail.delivery.log import log_attempt
from flasky.mail.delivery.outcomes import LOST, result_of
from flasky.mail.delivery.recording import record, recorder
from flasky.mail.limits.connections import allow_fewer
from flasky.mail.limits.rate import Permits, reserve
from flasky.mail.models import OutboxMessage, State
from flasky.mail.runtime import clock
from flasky.mail.runtime.identity import this_thread
from flasky.mail.signals import claimed
from flasky.mail.transports import NoSlot, Transport, TransportUnavailable, borrow, relay_name
from flasky.mail.transports.replies import Reply, Verdict

logger = logging.getLogger(__package__)
T = TypeVar("T")

SLOT_PAUSE = 1  # s, more or less, between two looks for a connection that may be opened
FIRST_WAIT, LONGEST_WAIT = 0.05, 2  # s between two tries to record a reply


def deliver_due(stop: Callable[[], bool] = lambda: False, delivered: Callable[[], None] = lambda: None) -> Counter[str]:
    """Deliver until nothing is due or `stop()`; return how many messages went to each state.

    `delivered()` is called after each message that the relay has answered.
    Raise TransportUnavailable if the transport cannot be reached. It is opened before anything is claimed, so that a
    relay that is down costs no message an attempt. Raise it in the end, too, if some senders' mails were not taken.
    """
    states: Counter[str] = Counter()
    alarm: TransportUnavailable | None = None

    def note(state: str) -> None:
        states[state] += 1
        delivered()

    while OutboxMessage.objects.due().exists():
        release_connection()
        try:
            with borrow() as transport:
                while not transport.must_leave and _deliver_batch(transport, stop, note):
                    pass
            if stop() or not transport.must_leave:
                break
        except NoSlot:
            pass
        except TransportUnavailable as error:
            if error.senders:
                alarm = error
                _retry_while_database_is_away(partial(keep_back, error, relay_name()), stop)
                if stop():
                    break
                continue
            if not (error.is_crowded and allow_fewer(relay_name(), str(error))):
                _give_up_what_is_too_old(str(error), stop)
                raise
        pause(SLOT_PAUSE * random.uniform(0.5, 1.5), stop)
        if stop():
            break
    release_connection()
    if alarm:
        raise alarm
    return states


def _give_up_what_is_too_old(reason: str, stop: Callable[[], bool]) -> None:
    """End what is due and has waited too long: while no connection comes about, its turn would never come."""
    since = given_up_before(clock.now())
    too_old = OutboxMessage.objects.filter(queued_at__lte=since)
    while too_old.due().exists():
        claim = OutboxMessage.objects.claim(CLAIM_LIMIT, this_thread(), one_writer(), queued_until=since)
        circumstances = {"server": relay_name()[:255], "secured": False, "logged_in": False, "worker": this_thread()}
        with recorder():
            for message in claim:
                replies = dict.fromkeys(message.remaining_recipients, Reply(Verdict.POSTPONED, reason))
                details = circumstances | {"claim_token": message.claim_token, "started_at": clock.now()}
                result = result_of(message, replies, details)
                _retry_while_database_is_away(partial(record, result), stop)
                log_attempt(result)
        if not claim or stop():
            break


def _deliver_batch(transport: Transport, stop: Callable[[], bool], note: Callable[[str], None]) -> bool:
    """Deliver one claim; return False if there was none, and nothing is due."""
    batch = next_batch(transport.pace)
    if stop() or not batch.size:
        return False
    permits = reserve(transport.server.name, batch.size, stop)
    try:
        claim = []
        if permits.count:
            claim = OutboxMessage.objects.claim(
                permits.count, this_thread(), one_writer(), permits.of(batch.priorities)
            )
        if claim:
            claimed.send_robust(OutboxMessage, messages=claim)
            _deliver_in_time(claim, transport, permits, stop, note)
        return bool(claim) or not batch.is_counted
    finally:
        permits.give_back()


def _deliver_in_time(
    claim: list[OutboxMessage],
    transport: Transport,
    permits: Permits,
    stop: Callable[[], bool],
    note: Callable[[str], None],
) -> None:
    """Deliver each message of the claim when it has a permit; what has none is given back."""
    started, done = time.monotonic(), 0
    with closing(deliver(claim, transport, stop)) as ends:
        for state in ends:
            note(state)
            done += 1
            if done < len(claim) and not permits.wait(stop):
                break
    transport.note_pace((time.monotonic() - started) / (done or 1))


def deliver(
    claim: Sequence[OutboxMessage], transport: Transport, stop: Callable[[], bool] = lambda: False
) -> Generator[str, None, None]:
    """Hand the messages of one claim to the transport, record each reply and yield each new state.

    What is left of the claim after `stop()`, or when the transport is not available any more, is given back.
    """
    waiting = deque(claim)
    token = claim[0].claim_token
    assert token is not None
    with renewing(token), recorder():
        try:
            # Nobody holds a database connection while waiting for a server that may take its time.
            release_connection()
            circumstances, started_at = _circumstances(token, transport), clock.now()
            for replies in transport.deliver_each(claim):
                alarm = partial(alarm_after, waiting[0], replies, transport.server.name)
                if error := _retry_while_database_is_away(alarm, stop):
                    raise error
                result = result_of(waiting.popleft(), replies, circumstances | {"started_at": started_at})
                state = _retry_while_database_is_away(partial(record, result), stop)
                if state == State.SENT:
                    _retry_while_database_is_away(partial(end_alarm, result.message, transport.server.name), stop)
                release_connection()
                log_attempt(result)
                yield state
                if state == LOST or stop():  # lost together, by a holder who was not heard of for too long
                    break
                started_at = clock.now()
        except TransportUnavailable as error:
            upsetting = waiting.popleft()
            if is_too_old(upsetting, clock.now()):
                replies = dict.fromkeys(upsetting.remaining_recipients, Reply(Verdict.POSTPONED, str(error)))
                result = result_of(upsetting, replies, circumstances | {"started_at": started_at})
                _retry_while_database_is_away(partial(record, result), stop)
                log_attempt(result)
            else:
                # Behind the others that are due: if it is this message that upsets the relay, they still get through.
                _retry_while_database_is_away(lambda: copy(upsetting).give_back(clock.now()), stop)
            raise
        except GeneratorExit:  # whoever counts the states wants no more
            raise
        except BaseException:
            waiting.clear()  # one of them may be on the wire: only the lease knows how to end this
            raise
        finally:
            if waiting:
                rest = OutboxMessage.objects.filter(pk__in=[message.pk for message in waiting])
                _retry_while_database_is_away(lambda: rest.give_back(token), stop)


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


def _retry_while_database_is_away(write: Callable[[], T], stop: Callable[[], bool]) -> T:
    """Write, again and again while the database takes no write: what the relay said exists nowhere else.

    After `stop()` only for MAIL_STOP_TIMEOUT seconds more; then the lease runs out and the doubt is noted.
    """
    wait, stopped_at = FIRST_WAIT, 0.0
    while True:
        try:
            return write()
        except Exception as error:
            if connections[alias()].in_atomic_block or not is_outage(error):
                raise
            if stop():
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at >= conf.MAIL_STOP_TIMEOUT:
                    raise
            if wait == FIRST_WAIT:
                logger.error("A reply cannot be recorded; trying until it can: %s", error)
            drop_connection(error)
            time.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)
