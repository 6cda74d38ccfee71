"""List in the order of time what happened to a message."""

from dataclasses import dataclass
from datetime import datetime

from flasky.mail.models import Action, Attempt, Door, OutboxMessage


@dataclass
class Entry:
    at: datetime
    what: str
    reply: str = ""
    details: str = ""
    other: int | None = None  # the number of another message


def history(message: OutboxMessage) -> list[Entry]:
    """Return in the order of time: that it was stored, the attempts, and what people did."""
    happened = [from_attempt(attempt) for attempt in message.attempts.all()]
    happened += [from_action(action) for action in message.actions.all()]
    stored = Entry(message.created_at, "stored", details=origin_of(message))
    return [stored, *sorted(happened, key=lambda entry: entry.at)]


def origin_of(message: OutboxMessage) -> str:
    """Return by which door the message came, and who came through it."""
    door = "from elsewhere" if message.door == Door.OTHER else f"through {message.get_door_display()}"
    return f"{door}, by {message.person}" if message.person else door


def from_attempt(attempt: Attempt) -> Entry:
    details = []
    if attempt.server:  # a holder who died has left no more than its name
        secured = "encrypted" if attempt.secured else "not encrypted"
        logged_in = "logged in" if attempt.logged_in else "no login"
        details.append(f"{attempt.seconds:.2f} s, {attempt.server} ({secured}, {logged_in})")
    if attempt.worker:
        details.append(f"by {attempt.worker}")
    return Entry(attempt.started_at, attempt.outcome, attempt.reply, ", ".join(details))


def from_action(action: Action) -> Entry:
    return Entry(action.at, action.get_verb_display(), details=f"by {action.person or 'somebody'}", other=action.other)
