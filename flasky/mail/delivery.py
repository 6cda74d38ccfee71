"""Claim, send, record: every road out of the outbox ends here."""

import logging
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections, router, transaction
from django.utils import timezone

from flasky.mail.leases import kept
from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.replies import Reply, Verdict, is_about_too_many_recipients, retry_hint
from flasky.mail.transports import Transport, TransportUnavailable, borrow

logger = logging.getLogger(__name__)
T = TypeVar("T")

# s. The next pause is the first that is longer than the message's age: quick at first, then minutes, then hours.
RETRY_PAUSES = (5, 15, 60, 5 * 60, 15 * 60, 3600, 3 * 3600, 6 * 3600)
RETRY_JITTER = 0.1  # of the pause, so that what failed together does not come back together

HINT_LIMITS = (1, RETRY_PAUSES[-1])  # s within which a reply's own "try again in …" is obeyed


def deliver_due(stop: Callable[[], bool] = lambda: False, delivered: Callable[[], None] = lambda: None) -> Counter[str]:
    """Deliver until nothing is due or `stop()`; return how many messages went to each state.

    `delivered()` is called after each message that the relay has answered.
    Raise TransportUnavailable if the transport cannot be reached. It is opened before anything is claimed, so that a
    relay that is down costs no message an attempt.
    """
    states: Counter[str] = Counter()
    if not OutboxMessage.objects.due().exists():
        return states
    _release_connection()
    with borrow() as transport:
        while not stop():
            claimed = OutboxMessage.objects.claim(1, holder=_me())
            if not claimed:
                break
            states[deliver(claimed[0], transport, stop)] += 1
            delivered()
    _release_connection()
    return states


def deliver(message: OutboxMessage, transport: Transport, stop: Callable[[], bool] = lambda: False) -> str:
    """Hand a claimed message to the transport, record the reply and return the message's new state."""
    assert message.claim_token is not None
    attempt = Attempt(
        message=message,
        server=transport.server.name[:255],
        secured=transport.server.security != "none",
        logged_in=transport.server.logged_in,
        worker=_me(),
        claim_token=message.claim_token,
    )
    with kept(message.claim_token):
        # Nobody holds a database connection while waiting for a server that may take its time.
        _release_connection()
        started = time.monotonic()
        try:
            replies = _replies(message, transport)
        except TransportUnavailable:
            # Behind the others that are due: if it is this message that upsets the relay, they still get through.
            _insist(lambda: copy(message).release(timezone.now()), stop)
            raise
        attempt.seconds = time.monotonic() - started
        attempt.outcome, attempt.reply = _outcome(replies), _summary(replies)
        # On a copy each time: a transaction that is rolled back does not restore what Python remembers.
        return _insist(lambda: _record(copy(message), attempt, replies), stop)


def _me() -> str:
    return f"{socket.gethostname()} {os.getpid()} {threading.current_thread().name}"[:255]


def _replies(message: OutboxMessage, transport: Transport) -> dict[str, Reply]:
    try:
        return transport.deliver(message)
    except TransportUnavailable:
        raise
    except Exception as error:  # whatever one message provokes, the others must go on
        logger.exception("Message %s could not be handed over.", message.pk)
        transport.close()
        return dict.fromkeys(message.remaining_recipients, Reply(Verdict.POSTPONED, f"{type(error).__name__}: {error}"))


def _outcome(replies: dict[str, Reply]) -> Attempt.Outcome:
    verdicts = {reply.verdict for reply in replies.values()}
    if verdicts <= {Verdict.ACCEPTED}:
        return Attempt.Outcome.ACCEPTED
    if Verdict.UNKNOWN in verdicts:
        return Attempt.Outcome.UNKNOWN
    if Verdict.ACCEPTED in verdicts:
        return Attempt.Outcome.PARTLY
    return Attempt.Outcome.REFUSED if verdicts == {Verdict.REFUSED} else Attempt.Outcome.POSTPONED


def _summary(replies: dict[str, Reply]) -> str:
    """Return the reply, once if it was the same for all, otherwise one line for each recipient."""
    texts = {reply.text for reply in replies.values()}
    if len(texts) <= 1:
        return "".join(texts)
    return "\n".join(f"{address}: {reply.text}" for address, reply in replies.items())


def _insist(write: Callable[[], T], stop: Callable[[], bool]) -> T:
    """Write, again and again while the database is away: what the relay said exists nowhere else.

    After `stop()` only for MAIL_STOP_TIMEOUT seconds more; then the lease runs out and the doubt is noted.
    """
    pause, stopped_at = 0.05, 0.0  # s
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError) as error:
            if connections[_alias()].in_atomic_block:
                raise
            if stop():
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at >= settings.MAIL_STOP_TIMEOUT:
                    raise
            if pause == 0.05:
                logger.error("A reply cannot be recorded; trying until it can: %s", error)
            _release_connection()
            time.sleep(pause)
            pause = min(pause * 2, 2)


def _record(message: OutboxMessage, attempt: Attempt, replies: dict[str, Reply]) -> str:
    final = {
        address: {"accepted": reply.verdict == Verdict.ACCEPTED, "reply": reply.text}
        for address, reply in replies.items()
        if reply.verdict in (Verdict.ACCEPTED, Verdict.REFUSED)
    }
    message.outcomes = {**message.outcomes, **final}
    message.possible_duplicate |= attempt.outcome == Attempt.Outcome.UNKNOWN
    with transaction.atomic(using=_alias()):
        still_ours = _finish(message, attempt.reply, _wish(replies))
        if not still_ours:
            if message.attempts.filter(claim_token=attempt.claim_token).exists():
                # Our own commit, whose confirmation was lost with the connection.
                return OutboxMessage.objects.values_list("state", flat=True).get(pk=message.pk)
            attempt.outcome = Attempt.Outcome.LATE
        attempt.pk = None  # the try before this one may have been rolled back
        attempt.save(force_insert=True)
    if not still_ours:
        logger.warning("Message %s: somebody else took it over before its reply came.", message.pk)
        return "lost"
    level = {State.SENT: logging.INFO, State.FAILED: logging.ERROR}.get(State(message.state), logging.WARNING)
    logger.log(level, "Message %s %s: %s", message.pk, message.state, attempt.reply)
    return message.state


def _wish(replies: dict[str, Reply]) -> int | None:
    """Return the seconds after which the relay wants to be asked again, if it says so."""
    open_replies = [reply for reply in replies.values() if reply.verdict == Verdict.POSTPONED]
    if len(open_replies) < len(replies) and all(map(is_about_too_many_recipients, open_replies)):
        return 0
    hints = [hint for reply in open_replies if (hint := retry_hint(reply.text)) is not None]
    return max(hints, default=None)


def _finish(message: OutboxMessage, reply: str, wish: int | None) -> bool:
    if message.remaining_recipients and not _is_too_old(message):
        return message.retry_at(next_attempt_at(message.queued_at, timezone.now(), wish), reply)
    accepted = any(outcome["accepted"] for outcome in message.outcomes.values())
    return message.finish(State.SENT if accepted else State.FAILED, reply)


def next_attempt_at(queued_at: datetime, now: datetime, hint: int | None = None) -> datetime:
    """Return when to try again a message that was refused for now; `hint` is the relay's own wish, in seconds."""
    if hint is not None:
        shortest, longest = HINT_LIMITS
        return now + timedelta(seconds=min(max(hint, shortest), longest) * random.uniform(1, 1 + RETRY_JITTER))
    age = (now - queued_at).total_seconds()
    pause = next((pause for pause in RETRY_PAUSES if pause > age), RETRY_PAUSES[-1])
    return now + timedelta(seconds=pause * random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER))


def _is_too_old(message: OutboxMessage) -> bool:
    return timezone.now() - message.queued_at >= timedelta(days=settings.MAIL_GIVE_UP_DAYS)


def _release_connection() -> None:
    connection = connections[_alias()]
    if not connection.in_atomic_block:  # inside its caller's transaction it is not ours to close
        connection.close()


def _alias() -> str:
    return router.db_for_write(OutboxMessage)
