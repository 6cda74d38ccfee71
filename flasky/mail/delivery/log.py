"""Write one line to the log for each attempt."""

import logging
from datetime import timedelta
from typing import Any

from flasky.mail.delivery.outcomes import LOST, Result
from flasky.mail.models import State

logger = logging.getLogger(__package__)


def log_attempt(result: Result) -> None:
    """Write one line for the outcome, whatever the relay has said."""
    fields = {"fields": _logged(result)}
    if result.state == LOST:
        message = "Message %s: somebody else took it over before its reply came."
        logger.warning(message, result.message.pk, extra=fields)
        return
    reply = "; ".join(result.attempt["reply"].split("\n"))
    if result.state == State.HELD:
        reply += (
            f" So ended {result.changes['unknown_ends']} attempts in a row: decide in the outbox what becomes of it."
        )
    logger.log(_level(result.state), "Message %s %s: %s", result.message.pk, result.state, reply, extra=fields)


def _level(state: str) -> int:
    if state in State.needing_a_person():
        return logging.ERROR
    return logging.INFO if state == State.SENT else logging.WARNING


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
