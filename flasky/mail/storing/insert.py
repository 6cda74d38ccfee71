"""Insert a message, with its schedule and the recipients under which it is found."""

from contextlib import nullcontext
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from flasky.mail.db.sql import insert, insert_many
from flasky.mail.models import FurtherRecipient, Gathered, OutboxMessage, OverBudget, Priority
from flasky.mail.runtime import clock
from flasky.mail.wire.options import send_at

# The names that django-post_office and django-mailer have.
OTHERS_PRIORITIES = {
    "now": Priority.URGENT.value,
    "high": Priority.URGENT.value,
    "medium": Priority.NORMAL.value,
    "low": Priority.BULK.value,
}


def schedule_of(email: EmailMessage) -> dict[str, Any]:
    """Return the fields that say when it is the message's turn, from the email's `priority` and `send_at`.

    Raise ValueError for a priority that does not exist, and for what is no time.
    """
    priority = priority_of(email)
    due_at = send_at(email)
    if due_at is None:
        return {"priority": priority}
    due_at = max(due_at, clock.now())  # a time that is over must neither make it overtake others nor give up early
    return {"priority": priority, "queued_at": due_at, "next_attempt_at": due_at}


def priority_of(email: EmailMessage) -> str:
    given = getattr(email, "priority", None)
    if given is None:
        return Priority.NORMAL.value
    name = OTHERS_PRIORITIES.get(given, given) if isinstance(given, str) else given
    if name not in Priority.values:
        raise ValueError(
            f"The email's priority is {given!r}; it must be {', '.join(Priority.values)}. The names of other outboxes "
            f"are taken too: {', '.join(OTHERS_PRIORITIES)}; their numbers are not, for each has others."
        )
    return str(name)


def insert_message(
    message: OutboxMessage, connection: BaseDatabaseWrapper, reason: OverBudget | Gathered | None = None
) -> None:
    """Insert a new message, the recipients as searches find them, and the reason why it does not leave yet."""
    message.first_recipient = message.recipients[0].lower()
    with transaction.atomic(using=connection.alias) if reason else nullcontext():
        insert(message, connection)
        if reason:
            reason.message_id = message.pk
            insert(reason, connection)
    rows = [(message.pk, address.lower(), message.created_at) for address in message.recipients[1:]]
    if rows:
        insert_many(FurtherRecipient, ("message_id", "address", "created_at"), rows, connection)
