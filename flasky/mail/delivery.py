"""Claim, send, record: every road out of the outbox ends here."""

import logging
import os
import random
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connections, router, transaction
from django.utils import timezone

from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.replies import Reply, Verdict
from flasky.mail.transports import Transport, TransportUnavailable, borrow

logger = logging.getLogger(__name__)

# s. The next pause is the first that is longer than the message's age: quick at first, then minutes, then hours.
RETRY_PAUSES = (5, 15, 60, 5 * 60, 15 * 60, 3600, 3 * 3600, 6 * 3600)
RETRY_JITTER = 0.1  # of the pause, so that what failed together does not come back together

_claims_in_flight: set[uuid.UUID] = set()


def deliver_due(stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Deliver until nothing is due or `stop()`; return how many messages went to each state.

    Raise TransportUnavailable if the transport cannot be reached. It is opened before anything is claimed, so that a
    relay that is down costs no message an attempt.
    """
    states: Counter[str] = Counter()
    if not OutboxMessage.objects.due().exists():
        return states
    _release_connection()
    with borrow() as transport:
        while not stop():
            claimed = OutboxMessage.objects.claim(1)
            if not claimed:
                break
            states[deliver(claimed[0], transport)] += 1
    _release_connection()
    return states


def deliver(message: OutboxMessage, transport: Transport) -> str:
    """Hand a claimed message to the transport, record the reply and return the message's new state."""
    token = message.claim_token
    assert token is not None
    _claims_in_flight.add(token)
    try:
        return _attempt(message, transport)
    except TransportUnavailable:
        message.release()
        raise
    finally:
        _claims_in_flight.discard(token)


def renew_claims() -> None:
    """Prolong the leases of what this process is delivering right now."""
    if tokens := set(_claims_in_flight):
        OutboxMessage.objects.renew(tokens)


def _attempt(message: OutboxMessage, transport: Transport) -> str:
    server = transport.server
    attempt = Attempt(
        message=message,
        server=server.name[:255],
        secured=server.security != "none",
        logged_in=server.logged_in,
        worker=f"{socket.gethostname()} {os.getpid()} {threading.current_thread().name}"[:255],
    )
    # Nobody holds a database connection while waiting for a server that may take its time.
    _release_connection()
    started = time.monotonic()
    replies = _replies(message, transport)
    attempt.seconds = time.monotonic() - started
    attempt.outcome = _outcome(replies)
    attempt.reply = _summary(replies)
    return _record(message, attempt, replies)


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


def _record(message: OutboxMessage, attempt: Attempt, replies: dict[str, Reply]) -> str:
    message.outcomes |= {
        address: {"accepted": reply.verdict == Verdict.ACCEPTED, "reply": reply.text}
        for address, reply in replies.items()
        if reply.verdict in (Verdict.ACCEPTED, Verdict.REFUSED)
    }
    message.possible_duplicate |= attempt.outcome == Attempt.Outcome.UNKNOWN
    with transaction.atomic(using=router.db_for_write(OutboxMessage)):
        if not _finish(message, attempt.reply):
            logger.warning("Message %s: somebody else took it over before its reply came.", message.pk)
            return "lost"
        attempt.save(force_insert=True)
    level = logging.INFO if message.state == State.SENT else logging.WARNING
    logger.log(level, "Message %s %s: %s", message.pk, message.state, attempt.reply)
    return message.state


def _finish(message: OutboxMessage, reply: str) -> bool:
    if message.remaining_recipients and not _is_too_old(message):
        return message.retry_at(next_attempt_at(message.created_at, timezone.now()), reply)
    accepted = any(outcome["accepted"] for outcome in message.outcomes.values())
    return message.finish(State.SENT if accepted else State.FAILED, reply)


def next_attempt_at(created_at: datetime, now: datetime) -> datetime:
    """Return when to try again a message that was refused for now."""
    age = (now - created_at).total_seconds()
    pause = next((pause for pause in RETRY_PAUSES if pause > age), RETRY_PAUSES[-1])
    return now + timedelta(seconds=pause * random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER))


def _is_too_old(message: OutboxMessage) -> bool:
    return timezone.now() - message.created_at >= timedelta(days=settings.MAIL_GIVE_UP_DAYS)


def _release_connection() -> None:
    connection = connections[router.db_for_write(OutboxMessage)]
    if not connection.in_atomic_block:  # inside its caller's transaction it is not ours to close
        connection.close()
