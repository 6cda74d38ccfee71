"""What people must be told about the outbox, in the sentences that the pages and the checks share."""

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.utils import dateformat, timezone
from django.utils.text import Truncator

from flasky.mail.models import (
    LOST_CLAIMS_UNTIL_HELD,
    UNKNOWN_ENDS_UNTIL_HELD,
    Action,
    Deliverer,
    OutboxMessage,
    RelayTrouble,
    State,
)
from flasky.mail.status.alerts import DELIVERERS, delivers_inline, somebody_delivers

REPLY_LENGTH = 300  # characters; the history has the whole of it


def stuck(deliverers: Iterable[Deliverer]) -> list[str]:
    """Return for each that lives and has work, but gets nowhere, since when, and what to do."""
    return [
        f"{deliverer.name} gives signs of life and has mail to deliver, but its threads have got nowhere since "
        f"{_moment(deliverer.stuck_since)}. Restart it, and look at its log."
        for deliverer in deliverers
        if deliverer.stuck_since
    ]


def why(message: OutboxMessage) -> str:
    """Return why the message is in its state, above all why it is not sent yet, and what can be done about it."""
    match message.state:
        case State.QUEUED if message.next_attempt_at > timezone.now():
            return _why_later(message)
        case State.QUEUED:
            return _why_due()
        case State.SENDING:
            return _why_sending(message)
        case State.HELD:
            return _why_held(message)
        case State.FAILED:
            return _why_failed(message)
        case State.CANCELLED:
            return _why_cancelled(message)
        case State.SENT:
            return _to_whom_sent(message)
    return f"It is {message.state!r}, which only a later version of this software understands: look at it there."


def _why_later(message: OutboxMessage) -> str:
    if message.queued_at > timezone.now():
        sentence = f"It is to be sent at {_moment(message.queued_at)}."
    else:
        reply = f", because of the last reply: {_on_one_line(message.last_reply)}" if message.last_reply else "."
        sentence = f"The next try is at {_moment(message.next_attempt_at)}{reply}"
    return sentence if somebody_delivers() else f"{sentence} But nobody delivers at the moment. {DELIVERERS}"


def _why_due() -> str:
    if not somebody_delivers():
        return f"It is due, but nobody delivers. {DELIVERERS}"
    if trouble := RelayTrouble.objects.current().first():
        return (
            f"It waits for the relay, which has taken no mail since {_moment(trouble.since)}: {trouble.reason} "
            f"Next probe at {_moment(trouble.next_probe_at)}."
        )
    if delivers_inline():
        return "It is due, and goes with the next mail that is stored; manage.py deliver_mail delivers it now."
    return "It is due and waits for a free thread."


def _why_sending(message: OutboxMessage) -> str:
    holder = message.claimed_by or "an unknown process"
    if message.lease_expires_at is None:
        return f"It is being sent by {holder}."
    if message.lease_expires_at < timezone.now():
        return (
            f"It was being sent by {holder}, whose claim ran out at {_moment(message.lease_expires_at)}: "
            f"whoever delivers next queues it again.{'' if somebody_delivers() else f' Nobody does. {DELIVERERS}'}"
        )
    return (
        f"It is being sent by {holder}, whose claim lasts until {_moment(message.lease_expires_at)}, "
        "and longer while that process lives."
    )


def _why_held(message: OutboxMessage) -> str:
    if message.lost_claims >= LOST_CLAIMS_UNTIL_HELD:
        return (
            f"It is held because {message.lost_claims} times in a row nothing more was heard of the process that was "
            f"sending it, at last of {message.claimed_by or 'an unknown one'}. Look for the reason in that process's "
            "log; then release or cancel it."
        )
    if message.unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
        return (
            f"It is held because {message.unknown_ends} times in a row it was handed over and no clear answer came: "
            f"it may have arrived {message.unknown_ends} times. The last end: {_on_one_line(message.last_reply)} "
            "Ask a recipient whether it came; then cancel it, or release it to send it once more."
        )
    return f"It was put on hold{_by_whom(message, Action.Verb.HELD)}, and waits until a person releases or cancels it."


def _why_failed(message: OutboxMessage) -> str:
    at = f" at {_moment(message.finished_at)}" if message.finished_at else ""
    if message.remaining_recipients:
        fate = f"It was given up{at}, after {settings.MAIL_GIVE_UP_DAYS} days of trying (MAIL_GIVE_UP_DAYS)"
    else:
        fate = f"It was refused for good{at}"
    reply = f". The last reply: {_on_one_line(message.last_reply)}" if message.last_reply else "."
    return f"{fate}{reply}{'' if message.is_pruned else ' Mend the cause, then requeue it.'}"


def _why_cancelled(message: OutboxMessage) -> str:
    by_whom = _by_whom(message, Action.Verb.CANCELLED)
    return f"It was cancelled{by_whom}.{'' if message.is_pruned else ' Requeue it to send it after all.'}"


def _to_whom_sent(message: OutboxMessage) -> str:
    at = f" at {_moment(message.finished_at)}" if message.finished_at else ""
    accepted = sum(outcome["accepted"] for outcome in message.outcomes.values())
    total = len(message.recipients)
    if accepted == total:
        return f"The relay accepted it{at}, for {'its one recipient' if total == 1 else f'all {total} recipients'}."
    return f"The relay accepted it{at}, for {accepted} of {total} recipients; the others do not get it."


def _by_whom(message: OutboxMessage, verb: str) -> str:
    action = message.actions.filter(verb=verb).last()
    return f" by {action.person or 'somebody'} at {_moment(action.at)}" if action else ""


def _on_one_line(reply: str) -> str:
    line = Truncator("; ".join(reply.split("\n"))).chars(REPLY_LENGTH)
    return line if line.endswith((".", "…")) else f"{line}."


def _moment(moment: datetime) -> str:
    return dateformat.format(timezone.localtime(moment), "j M Y, H:i:s e")


def about(message: OutboxMessage) -> list[str]:
    """Return what a person who looks at the message cannot know from its state and from `why`."""
    sentences = []
    if message.possible_duplicate:
        sentences.append(
            "It may arrive more than once: a process died, or the connection broke, before the server's reply to it "
            "was noted. All copies have the same Message-ID."
        )
    if message.is_pruned:
        sentences.append(pruned(message))
    return sentences


def pruned(message: OutboxMessage) -> str:
    """Return why there is no body; nothing if there is one."""
    if not message.is_pruned:
        return ""
    since = f" after {timezone.localtime(message.finished_at):%Y-%m-%d}" if message.finished_at else ""
    return f"The body was pruned{since}: bodies of old messages are not kept."
