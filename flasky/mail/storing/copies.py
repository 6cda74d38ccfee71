"""Copy a stored message: as a new one for the same recipients, or attached to an email for one person."""

import re

from django.core.mail import EmailMessage
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from flasky.mail.conf import conf
from flasky.mail.models import OutboxMessage
from flasky.mail.storing.origin import origin
from flasky.mail.wire.compose import with_fixed_identity
from flasky.mail.wire.given import without_identity, without_recipients

OF_THE_ORIGINAL = (  # what a copy does not take over: which row it is, when it is its turn, and what became of it
    "id",
    "state",
    "created_at",
    "queued_at",
    "next_attempt_at",
    "finished_at",
    "claim_token",
    "claimed_by",
    "lease_expires_at",
    "lost_claims",
    "unknown_ends",
    "attempt_count",
    "last_reply",
    "outcomes",
    "possible_duplicate",
)

ADDRESSED = re.compile(rb"^(?:To|Cc|Bcc):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE)
END_OF_HEADER = b"\r\n\r\n"
IDENTITY = re.compile(rb"^(?:Message-ID|Date):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE)

RECIPIENTS_NAMED = 5


def new_message_from(original: OutboxMessage) -> OutboxMessage:
    """Return a message, not stored yet, with the same content for the same recipients."""
    identity = with_fixed_identity(EmailMessage(), original.envelope_sender).extra_headers
    names = {field.attname for field in OutboxMessage._meta.concrete_fields} - {*OF_THE_ORIGINAL}
    changed = {
        "message_id": identity["Message-ID"],
        "content": with_identity(bytes(original.content), identity["Message-ID"], identity["Date"]),
        "as_given": without_identity(original.as_given),
    }
    return OutboxMessage(**{name: getattr(original, name) for name in names} | changed | origin())


def new_message_to(address: str, original: OutboxMessage) -> OutboxMessage:
    """Return a message, not stored yet, with the same content for this recipient alone."""
    message = new_message_from(original)
    message.recipients = [address]
    message.as_given = without_recipients(message.as_given)
    message.content = with_recipient(bytes(message.content), address)
    return message


def with_recipient(content: bytes, address: str) -> bytes:
    """Return the wire form with this address in To, which comes first, and no other recipient."""
    header, end, body = content.partition(END_OF_HEADER)
    return b"To: %b\r\n%b%b%b" % (address.encode("ascii"), ADDRESSED.sub(b"", header + b"\r\n"), end[2:], body)


def with_identity(content: bytes, message_id: str, date: str) -> bytes:
    """Return the wire form with another Message-ID and Date, which come first; no other byte is changed."""
    header, end, body = content.partition(END_OF_HEADER)
    others = IDENTITY.sub(b"", header + b"\r\n")
    return b"Message-ID: %b\r\nDate: %b\r\n%b%b%b" % (message_id.encode(), date.encode(), others, end[2:], body)


def forwarding(original: OutboxMessage, address: str) -> EmailMessage:
    """Return an email to the address that has the original, whole, as an attachment; in the current language."""
    prefix = conf.FLASKY_MAIL_SUBJECT_PREFIX
    named = pgettext("between the parts of a list", ", ").join(original.recipients[:RECIPIENTS_NAMED])
    more = len(original.recipients) - RECIPIENTS_NAMED
    text = ngettext(
        "The attached mail is the outbox's message %(number)s, stored at %(time)s.\n"
        "\n"
        "It went, or was to go, to: %(recipients)s and %(count)s more",
        "The attached mail is the outbox's message %(number)s, stored at %(time)s.\n"
        "\n"
        "It went, or was to go, to: %(recipients)s and %(count)s more",
        more,
    )
    if more <= 0:
        text = _(
            "The attached mail is the outbox's message %(number)s, stored at %(time)s.\n"
            "\n"
            "It went, or was to go, to: %(recipients)s"
        )
    values = {"number": original.pk, "time": f"{original.created_at:%Y-%m-%d %H:%M:%S %Z}", "recipients": named}
    # Some know more ends of lines than others.
    subject = " ".join(original.subject.removeprefix(prefix).splitlines()).lstrip()
    email = EmailMessage(
        subject=f"{prefix} Fwd: {subject}".lstrip(),
        body=f"{text % {**values, 'count': more}}\n",
        from_email=conf.FLASKY_MAIL_SENDER,
        to=[address],
    )
    email.attach(f"message-{original.pk}.eml", bytes(original.content), "message/rfc822")
    return email
