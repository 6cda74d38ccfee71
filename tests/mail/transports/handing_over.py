"""Hand a message to the transport of the settings, and look at what it says."""

from django.core.mail import EmailMessage

from flasky.mail.models import OutboxMessage
from flasky.mail.transports import borrow
from flasky.mail.wire.compose import compose


def a_message(*recipients, body="Grüße\n.\n", **fields):
    email = EmailMessage("Hi", body, "Ann <ann@example.com>", list(recipients) or ["b@example.com"], **fields)
    return OutboxMessage(**compose(email))


def deliver(message=None):
    with borrow() as transport:
        return transport.deliver(message or a_message())


def verdicts(replies):
    return {address: reply.verdict for address, reply in replies.items()}
