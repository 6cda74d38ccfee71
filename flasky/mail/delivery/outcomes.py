"""Decide what the replies make of a message."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from flasky.mail.delivery.recording import Result
from flasky.mail.delivery.retries import next_attempt_at, wanted_pause
from flasky.mail.models import UNKNOWN_ENDS_UNTIL_HELD, Attempt, OutboxMessage, State
from flasky.mail.transports.replies import Reply, Verdict


def result_of(message: OutboxMessage, replies: dict[str, Reply], circumstances: dict[str, Any]) -> Result:
    now, outcome, reply = timezone.now(), outcome_of(replies), summary_of(replies)
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
    return Result(message, changes | next_state(message, replies, unknown_ends, now), attempt)


def next_state(message: OutboxMessage, replies: dict[str, Reply], unknown_ends: int, now: datetime) -> dict[str, Any]:
    final = {
        address: {"accepted": reply.verdict == Verdict.ACCEPTED, "reply": reply.text}
        for address, reply in replies.items()
        if reply.verdict in (Verdict.ACCEPTED, Verdict.REFUSED)
    }
    outcomes = message.outcomes | final
    fate: dict[str, Any] = {"outcomes": outcomes, "next_attempt_at": message.next_attempt_at, "finished_at": None}
    if not outcomes.keys() >= set(message.recipients) and not is_too_old(message, now):
        if unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
            return fate | {"state": State.HELD.value}
        return fate | {
            "state": State.QUEUED.value,
            "next_attempt_at": next_attempt_at(message.queued_at, now, wanted_pause(replies)),
        }
    accepted = any(outcome["accepted"] for outcome in outcomes.values())
    return fate | {"state": (State.SENT if accepted else State.FAILED).value, "finished_at": now}


def outcome_of(replies: dict[str, Reply]) -> Attempt.Outcome:
    verdicts = {reply.verdict for reply in replies.values()}
    if verdicts == {Verdict.ACCEPTED}:
        return Attempt.Outcome.ACCEPTED
    if Verdict.UNKNOWN in verdicts:
        return Attempt.Outcome.UNKNOWN
    if Verdict.ACCEPTED in verdicts:
        return Attempt.Outcome.PARTLY
    return Attempt.Outcome.REFUSED if verdicts <= {Verdict.REFUSED} else Attempt.Outcome.POSTPONED


def summary_of(replies: dict[str, Reply]) -> str:
    """Return the reply, once if it was the same for all, otherwise one line for each recipient."""
    if not replies:
        return "It was handed over to nobody: none of its recipients is left."
    texts = {reply.text for reply in replies.values()}
    if len(texts) == 1:
        return texts.pop()
    return "\n".join(f"{address}: {reply.text}" for address, reply in replies.items())


def is_too_old(message: OutboxMessage, now: datetime) -> bool:
    return now - message.queued_at >= timedelta(days=settings.MAIL_GIVE_UP_DAYS)
