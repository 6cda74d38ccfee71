"""Insert a message: when it is its turn, and under which recipients it is found."""

from datetime import datetime
from typing import Any

from django.core.mail import EmailMessage
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from flasky.mail.db.sql import insert, insert_many
from flasky.mail.models import FurtherRecipient, OutboxMessage, Priority
from flasky.mail.wire.compose import attribute


def turn_of(email: EmailMessage) -> dict[str, Any]:
    """Return the fields that say when it is the message's turn, from the email's `priority` and `send_at`.

    Raise ValueError for a priority that does not exist, and for a time that is no aware datetime.
    """
    priority = getattr(email, "priority", Priority.NORMAL)
    if priority not in Priority.values:
        raise ValueError(f"The email's priority is {priority!r}; it must be {', '.join(Priority.values)}.")
    send_at = attribute(email, "send_at")
    if send_at is None:
        return {"priority": str(priority)}
    if not isinstance(send_at, datetime) or timezone.is_naive(send_at):
        raise ValueError(f"The email's send_at is {send_at!r}; it must be a datetime with a time zone.")
    due_at = max(send_at, timezone.now())  # a time that is over must neither make it overtake others nor give up early
    return {"priority": str(priority), "queued_at": due_at, "next_attempt_at": due_at}


def insert_message(message: OutboxMessage, connection: BaseDatabaseWrapper) -> None:
    """Insert a new message, and its recipients as searches find them."""
    message.first_recipient = message.recipients[0].lower()
    insert(message, connection)
    rows = [(message.pk, address.lower(), message.created_at) for address in message.recipients[1:]]
    if rows:
        insert_many(FurtherRecipient, ("message_id", "address", "created_at"), rows, connection)
