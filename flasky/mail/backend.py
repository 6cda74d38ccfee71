"""The e-mail backend that stores instead of sending."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from flasky.mail import dispatchers
from flasky.mail.models import FurtherRecipient, OutboxMessage, Priority
from flasky.mail.origin import origin
from flasky.mail.statements import insert, insert_many
from flasky.mail.wire import compose

logger = logging.getLogger(__name__)


class OutboxEmailBackend(BaseEmailBackend):
    """Store emails in the caller's transaction and wake the dispatcher after its commit."""

    def __init__(self, fail_silently: bool = False, **options: Any) -> None:
        super().__init__(**options)  # refuses those that nobody knows, from Django 6.1 on
        self.fail_silently = fail_silently

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Store the emails, all or none, and return their number; each gets its row as `outbox_message`.

        Raise ValueError if one cannot be kept faithfully. With `fail_silently` a failure is only logged, as Django's
        error report by mail needs it: without a database there is no outbox either, and the page must still come.
        """
        try:
            return self._store(email_messages)
        except Exception:
            if not self.fail_silently:
                raise
            logger.exception("%d mail(s) could not be stored and are lost.", len(email_messages))
            return 0

    def _store(self, email_messages: Sequence[EmailMessage]) -> int:
        emails = [email for email in email_messages if email.recipients()]
        # Composed before the transaction: SQLite would keep all other writers waiting meanwhile.
        where = origin() if emails else {}
        messages = [OutboxMessage(**turn_of(email), **compose(email), **where) for email in emails]
        using = router.db_for_write(OutboxMessage)
        connection = connections[using]
        # One INSERT is a transaction by itself; BEGIN and COMMIT would be two more journeys to the database.
        is_atomic = sum(len(message.recipients) for message in messages) < 2 and connection.get_autocommit()
        # As with any save(), a database error dooms the caller's transaction, but not if he wants to hear of none.
        with nullcontext() if is_atomic else transaction.atomic(using=using, savepoint=self.fail_silently):
            for email, message in zip(emails, messages, strict=True):
                insert_message(message, connection)
                email.outbox_message = message  # type: ignore[attr-defined]
            if messages:
                _wake_after_commit(connection)
        return len(messages)


def turn_of(email: EmailMessage) -> dict[str, Any]:
    """Return the fields that say when it is the message's turn, from the email's `priority` and `send_at`.

    Raise ValueError for a priority that does not exist, and for a time that is no aware datetime.
    """
    priority = getattr(email, "priority", Priority.NORMAL)
    if priority not in Priority.values:
        raise ValueError(f"The email's priority is {priority!r}; it must be {', '.join(Priority.values)}.")
    send_at = getattr(email, "send_at", None)
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


def _wake_after_commit(connection: BaseDatabaseWrapper) -> None:
    """Wake once for a whole transaction, however many emails it sends."""
    waiting: list[Any] = connection.run_on_commit
    if not any(dispatchers.wake in callback for callback in waiting):
        connection.on_commit(dispatchers.wake, robust=True)
