"""Decide what the replies make of a message, and record it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections, transaction

from flasky.mail.db.connections import alias
from flasky.mail.db.sql import insert_many
from flasky.mail.delivery.counting import count
from flasky.mail.delivery.giving_up import is_too_old
from flasky.mail.delivery.retries import next_attempt_at, wanted_pause
from flasky.mail.models import UNKNOWN_ENDS_UNTIL_HELD, Attempt, OutboxMessage, ProviderStatus, State
from flasky.mail.models.provider_status import MAX_PROVIDER, MAX_PROVIDER_ID, MAX_STATUS
from flasky.mail.runtime import clock
from flasky.mail.signals import outcome_written
from flasky.mail.transports.replies import Reply, Verdict
from flasky.mail.transports.sentences import TO_NOBODY

STATUS = ("message_id", "address", "provider", "provider_id", "status", "at")  # the columns of a provider's status
LOST = "lost"  # the state of a message that somebody else had taken over before its reply came


@dataclass(eq=False)
class Result:
    """What became of a claimed message: values for its columns, and for those of the attempt."""

    message: OutboxMessage
    changes: dict[str, Any]
    attempt: dict[str, Any]
    statuses: list[list[Any]] = field(default_factory=list)  # a provider's, in the order of STATUS
    state: str = ""  # once it is recorded: the message's, or LOST


def result_of(message: OutboxMessage, replies: dict[str, Reply], circumstances: dict[str, Any]) -> Result:
    now, outcome, reply = clock.now(), outcome_of(replies), summary_of(replies)
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
    final = next_state(message, replies, unknown_ends, now)
    return Result(message, changes | final, attempt, statuses_of(message, replies, now))


def statuses_of(message: OutboxMessage, replies: dict[str, Reply], now: datetime) -> list[list[Any]]:
    """Return a row for each recipient about whom a provider has recorded something."""
    told = [(address, reply.receipt) for address, reply in replies.items() if reply.receipt]
    return [
        [
            message.pk,
            address,
            receipt.provider[:MAX_PROVIDER],
            receipt.provider_id[:MAX_PROVIDER_ID],
            receipt.status[:MAX_STATUS],
            now,
        ]
        for address, receipt in told
    ]


def next_state(
    message: OutboxMessage,
    replies: dict[str, Reply],
    unknown_ends: int,
    now: datetime,
    is_too_old: Callable[[OutboxMessage, datetime], bool] = is_too_old,
) -> dict[str, Any]:
    final = {
        address: {"accepted": reply.verdict == Verdict.ACCEPTED, "reply": reply.text}
        for address, reply in replies.items()
        if reply.verdict in (Verdict.ACCEPTED, Verdict.REFUSED)
    }
    outcomes = message.outcomes | final
    changes: dict[str, Any] = {"outcomes": outcomes, "next_attempt_at": message.next_attempt_at, "finished_at": None}
    if not outcomes.keys() >= set(message.recipients) and not is_too_old(message, now):
        if unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
            return changes | {"state": State.HELD.value}
        return changes | {
            "state": State.QUEUED.value,
            "next_attempt_at": next_attempt_at(message.queued_at, now, wanted_pause(replies)),
        }
    accepted = any(outcome["accepted"] for outcome in outcomes.values())
    return changes | {"state": (State.SENT if accepted else State.FAILED).value, "finished_at": now}


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
        return TO_NOBODY
    texts = {reply.text for reply in replies.values()}
    if len(texts) == 1:
        return texts.pop()
    return "\n".join(f"{address}: {reply.text}" for address, reply in replies.items())


def record_one(result: Result) -> None:
    """Write what became of a message, in one transaction, if its claim is still ours; if not, note what was heard.

    recording.record() does the same for several threads at once.
    """
    message, using = result.message, alias()
    ours = OutboxMessage.objects.filter(pk=message.pk, claim_token=message.claim_token, state=State.SENDING)
    with transaction.atomic(using=using):
        if ours.update(**result.changes, claim_token=None, lease_expires_at=None):
            Attempt.objects.using(using).create(**result.attempt)
            note_statuses([result], connections[using])
            drop_bodies([result], using)
            count([counts_of(result)], connections[using])
            outcome_written.send_robust(OutboxMessage)
            state = result.changes["state"]
        else:
            state = _state_without_claim(result, using)
    result.state = state


def _state_without_claim(result: Result, using: str) -> str:
    """Return the state of a message that is not claimed by this token any more, and note an attempt that is not yet."""
    message, attempts = result.message, Attempt.objects.using(using)
    if not OutboxMessage.objects.filter(pk=message.pk).select_for_update().exists():  # erased on the way
        return LOST
    noted = attempts.filter(message=message, claim_token=message.claim_token).values_list("outcome", flat=True).first()
    if noted is None:
        attempts.create(**result.attempt | {"outcome": Attempt.Outcome.LATE})
        note_statuses([result], connections[using])
        return LOST
    if noted == Attempt.Outcome.LATE:
        return LOST
    # Our own commit, whose confirmation was lost with the connection.
    return OutboxMessage.objects.values_list("state", flat=True).get(pk=message.pk)


def note_statuses(results: Iterable[Result], connection: Any) -> None:
    if rows := [row for result in results for row in result.statuses]:
        insert_many(ProviderStatus, STATUS, rows, connection)


def drop_bodies(results: Iterable[Result], using: str) -> None:
    """Empty the sensitive messages that are sent now: nobody needs their bodies any more, and nobody is to see them."""
    sent = [each.message.pk for each in results if each.message.is_sensitive and each.changes["state"] == State.SENT]
    if sent:
        nothing: dict[str, Any] = {"content": b"", "as_given": None, "provider_options": {}}
        OutboxMessage.objects.using(using).filter(pk__in=sent).update(**nothing)


def counts_of(result: Result) -> dict[str, int]:
    """Return what a result adds to the columns of HourlyCount."""
    state, finished_at = result.changes["state"], result.changes["finished_at"]
    counts = {result.attempt["outcome"]: 1}
    if result.changes["attempt_count"] > 1:
        counts["retries"] = 1
    if state == State.FAILED:
        counts["failed"] = 1
    if state == State.SENT:
        waited = max(0.0, (finished_at - result.message.queued_at).total_seconds())  # the hosts' clocks may differ
        counts |= {"sent": 1, "waited_ms": round(waited * 1000)}
    return counts
