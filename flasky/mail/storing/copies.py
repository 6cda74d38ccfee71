"""What is made from a stored message: a new one for the same recipients, or an email that forwards it to one person."""

import re

from django.conf import settings
from django.core.mail import EmailMessage

from flasky.mail.models import OutboxMessage
from flasky.mail.storing.origin import origin
from flasky.mail.wire.compose import GIVEN_HEADERS, with_fixed_identity

END_OF_HEADER = b"\r\n\r\n"
IDENTITY = re.compile(rb"^(?:Message-ID|Date):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE)

FORWARDED = """\
The attached mail is the outbox's message {number}, stored at {time}.

It went, or was to go, to: {recipients}
"""
RECIPIENTS_NAMED = 5


def new_message_from(original: OutboxMessage) -> OutboxMessage:
    """Return a message, not stored yet, with the same content for the same recipients."""
    identity = with_fixed_identity(EmailMessage(from_email=original.envelope_sender)).extra_headers
    return OutboxMessage(
        message_id=identity["Message-ID"],
        from_header=original.from_header,
        subject=original.subject,
        envelope_sender=original.envelope_sender,
        recipients=original.recipients,
        content=with_identity(bytes(original.content), identity["Message-ID"], identity["Date"]),
        provider_options={name: value for name, value in original.provider_options.items() if name != GIVEN_HEADERS},
        event=original.event,
        priority=original.priority,
        cause=original.cause,
        **origin(),
    )


def with_identity(content: bytes, message_id: str, date: str) -> bytes:
    """Return the wire form with another Message-ID and Date, which come first; no other byte is changed."""
    header, end, body = content.partition(END_OF_HEADER)
    others = IDENTITY.sub(b"", header + b"\r\n")
    return b"Message-ID: %b\r\nDate: %b\r\n%b%b%b" % (message_id.encode(), date.encode(), others, end[2:], body)


def forwarding(original: OutboxMessage, address: str) -> EmailMessage:
    """Return an email to the address that has the original, whole, as an attachment."""
    prefix = settings.FLASKY_MAIL_SUBJECT_PREFIX
    named = ", ".join(original.recipients[:RECIPIENTS_NAMED])
    more = len(original.recipients) - RECIPIENTS_NAMED
    email = EmailMessage(
        subject=f"{prefix} Fwd: {original.subject.removeprefix(prefix).lstrip()}".lstrip(),
        body=FORWARDED.format(
            number=original.pk,
            time=f"{original.created_at:%Y-%m-%d %H:%M:%S %Z}",
            recipients=f"{named} and {more} more" if more > 0 else named,
        ),
        from_email=settings.FLASKY_MAIL_SENDER,
        to=[address],
    )
    email.attach(f"message-{original.pk}.eml", bytes(original.content), "message/rfc822")
    return email
