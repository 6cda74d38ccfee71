"""Claim, send, record: every road out of the outbox ends here."""

import logging
import math
import os
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from copy import copy
from datetime import datetime, timedelta
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
from flasky.mail.delivery.recording import LOST, Result, record, recorder
from flasky.mail.limits.connections import allow_fewer
from flasky.mail.limits.rate import Unlimited, reserve
from flasky.mail.models import UNKNOWN_ENDS_UNTIL_HELD, Attempt, OutboxMessage, Priority, State
from flasky.mail.transports import NoSeat, Transport, TransportUnavailable, borrow, new_transport
from flasky.mail.transports.replies import Reply, Verdict, is_about_too_many_recipients, retry_hint

logger = logging.getLogger(__package__)
T = TypeVar("T")

CLAIM_LIMIT = 50  # messages
CLAIM_SECONDS = 1  # s of one connection's work
SEAT_PAUSE = 1  # s, more or less, between two looks for a connection that may be opened

# s. The next pause is the first that is longer than the message's age: quick at first, then minutes, then hours.
RETRY_PAUSES = (5, 15, 60, 5 * 60, 15 * 60, 3600, 3 * 3600, 6 * 3600)
RETRY_JITTER = 0.1  # of the pause, so that what failed together does not come back together

HINT_LIMITS = (1, RETRY_PAUSES[-1])  # s within which a reply's own "try again in …" is obeyed
HINT_GROWTH = 1 / 8  # of the message's age, which is the least that is waited then

LEVELS: dict[str, int] = {State.SENT: logging.INFO, State.FAILED: logging.ERROR, State.HELD: logging.ERROR}


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
            claim = OutboxMessage.objects.claim(moments.count, _me(), one_writer(), moments.of(priorities))
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
                result = _result(waiting.popleft(), replies, circumstances | {"started_at": started_at})
                state = _insist(partial(record, result), stop)
                release_connection()
                _log(result)
                yield state
                if state == LOST or stop():  # lost together, by a holder who was not heard of for too long
                    break
                started_at = timezone.now()
        except TransportUnavailable as trouble:
            upsetting = waiting.popleft()
            if _is_too_old(upsetting, timezone.now()):
                replies = dict.fromkeys(upsetting.remaining_recipients, Reply(Verdict.POSTPONED, str(trouble)))
                result = _result(upsetting, replies, circumstances | {"started_at": started_at})
                _insist(partial(record, result), stop)
                _log(result)
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


def _me() -> str:
    return f"{socket.gethostname()} {os.getpid()} {threading.current_thread().name}"[:255]


def _circumstances(token: UUID, transport: Transport) -> dict[str, Any]:
    """Return what all attempts at the messages of a claim have in common."""
    server = transport.server
    return {
        "claim_token": token,
        "server": server.name[:255],
        "secured": server.security != "none",
        "logged_in": server.logged_in,
        "worker": _me(),
    }


def _result(message: OutboxMessage, replies: dict[str, Reply], circumstances: dict[str, Any]) -> Result:
    now, outcome, reply = timezone.now(), _outcome(replies), _summary(replies)
    unknown_ends = message.unknown_ends + 1 if outcome == Attempt.Outcome.UNKNOWN else 0
    attempt = circumstances | {
        "message_id": message.pk,
        "seconds": (now - circumstances["started_at"]).total_seconds(),
        "outcome": outcome.value,
        "reply": reply,
    }
    changes = {
        "attempt_count": message.attempt_count + 1,
        "lost_claims": 0,
        "unknown_ends": unknown_ends,
        "last_reply": reply,
        "possible_duplicate": message.possible_duplicate or outcome == Attempt.Outcome.UNKNOWN,
    }
    return Result(message, changes | _next_state(message, replies, unknown_ends, now), attempt)


def _next_state(message: OutboxMessage, replies: dict[str, Reply], unknown_ends: int, now: datetime) -> dict[str, Any]:
    final = {
        address: {"accepted": reply.verdict == Verdict.ACCEPTED, "reply": reply.text}
        for address, reply in replies.items()
        if reply.verdict in (Verdict.ACCEPTED, Verdict.REFUSED)
    }
    outcomes = message.outcomes | final
    fate: dict[str, Any] = {"outcomes": outcomes, "next_attempt_at": message.next_attempt_at, "finished_at": None}
    if not outcomes.keys() >= set(message.recipients) and not _is_too_old(message, now):
        if unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
            return fate | {"state": State.HELD.value}
        return fate | {
            "state": State.QUEUED.value,
            "next_attempt_at": next_attempt_at(message.queued_at, now, _wish(replies)),
        }
    accepted = any(outcome["accepted"] for outcome in outcomes.values())
    return fate | {"state": (State.SENT if accepted else State.FAILED).value, "finished_at": now}


def _log(result: Result) -> None:
    """Write one line for the outcome, whatever the relay has said."""
    fields = {"fields": _logged(result)}
    if result.state == LOST:
        message = "Message %s: somebody else took it over before its reply came."
        logger.warning(message, result.message.pk, extra=fields)
        return
    level = LEVELS.get(result.state, logging.WARNING)
    reply = "; ".join(result.attempt["reply"].split("\n"))
    logger.log(level, "Message %s %s: %s", result.message.pk, result.state, reply, extra=fields)


def _logged(result: Result) -> dict[str, Any]:
    message, attempt = result.message, result.attempt
    ended_at = attempt["started_at"] + timedelta(seconds=attempt["seconds"])
    return {
        "message_number": message.pk,
        "state": result.state,
        "outcome": attempt["outcome"],
        "attempt": result.changes["attempt_count"],
        "server": attempt["server"],
        "worker": attempt["worker"],
        "seconds": round(attempt["seconds"], 3),
        "waited": round((ended_at - message.queued_at).total_seconds(), 3),
        "request_id": message.request_id,
    }


def _outcome(replies: dict[str, Reply]) -> Attempt.Outcome:
    verdicts = {reply.verdict for reply in replies.values()}
    if verdicts == {Verdict.ACCEPTED}:
        return Attempt.Outcome.ACCEPTED
    if Verdict.UNKNOWN in verdicts:
        return Attempt.Outcome.UNKNOWN
    if Verdict.ACCEPTED in verdicts:
        return Attempt.Outcome.PARTLY
    return Attempt.Outcome.REFUSED if verdicts <= {Verdict.REFUSED} else Attempt.Outcome.POSTPONED


def _summary(replies: dict[str, Reply]) -> str:
    """Return the reply, once if it was the same for all, otherwise one line for each recipient."""
    if not replies:
        return "It was handed over to nobody: none of its recipients is left."
    texts = {reply.text for reply in replies.values()}
    if len(texts) == 1:
        return texts.pop()
    return "\n".join(f"{address}: {reply.text}" for address, reply in replies.items())


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
            drop_connection()
            time.sleep(pause)
            pause = min(pause * 2, 2)


def _wish(replies: dict[str, Reply]) -> int | None:
    """Return the seconds after which the relay wants to be asked again, if it says so.

    In doubt it has no wish: whoever may have the mail must not get it again sooner than the plan says.
    """
    verdicts = {reply.verdict for reply in replies.values()}
    if Verdict.UNKNOWN in verdicts:
        return None
    open_replies = [reply for reply in replies.values() if reply.verdict == Verdict.POSTPONED]
    if verdicts - {Verdict.POSTPONED} and open_replies and all(map(is_about_too_many_recipients, open_replies)):
        return 0
    hints = [hint for reply in open_replies if (hint := retry_hint(reply.text)) is not None]
    return max(hints, default=None)


def next_attempt_at(queued_at: datetime, now: datetime, hint: int | None = None) -> datetime:
    """Return when to try again a message that was refused for now; `hint` is the relay's own wish, in seconds."""
    age = (now - queued_at).total_seconds()
    if hint is not None:
        shortest, longest = HINT_LIMITS
        if hint:  # whoever says "in a second" each time must not be asked each second for days
            hint = max(hint, int(age * HINT_GROWTH))
        return now + timedelta(seconds=min(max(hint, shortest), longest) * random.uniform(1, 1 + RETRY_JITTER))
    pause = next((pause for pause in RETRY_PAUSES if pause > age), RETRY_PAUSES[-1])
    # Never less than the pause, or the same one would come again.
    return now + timedelta(seconds=pause * random.uniform(1, 1 + RETRY_JITTER))


def _is_too_old(message: OutboxMessage, now: datetime) -> bool:
    return now - message.queued_at >= timedelta(days=settings.MAIL_GIVE_UP_DAYS)
