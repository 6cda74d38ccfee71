"""Messages in a table, and what a list finds of them."""

from datetime import datetime, timedelta
from datetime import timezone as zones

from django.core.mail import EmailMessage

from flasky.mail.models import FurtherRecipient, OutboxMessage
from flasky.mail.web.search import Listing

NOON = datetime(2026, 11, 3, 12, tzinfo=zones.utc)


def store(*recipients, subject="Hi", created_at=NOON, **fields):
    """Store a message as the backend does; with the fields that a test is about."""
    email = EmailMessage(subject, "Hello", "ann@example.com", recipients or ["bob@example.com"])
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(created_at=created_at, **fields)
    FurtherRecipient.objects.filter(message=email.outbox_message).update(created_at=created_at)
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


def store_many(number, **fields):
    """Store messages, each a minute younger than the one before; return their keys, the newest first."""
    return [store(created_at=NOON + timedelta(minutes=minute), **fields).pk for minute in range(number)][::-1]


def found(**query):
    return [message.pk for message in Listing(query).page]
