"""Compose the wire form (RFC 5322) of an email, in which the outbox keeps it."""

import copy
from collections.abc import Iterator
from datetime import timezone
from email.charset import Charset
from email.errors import MessageError
from email.message import Message
from email.policy import EmailPolicy
from email.utils import format_datetime, formataddr, getaddresses, make_msgid, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.module_loading import import_string
from django.utils.timezone import localtime

from flasky.mail.compat import HAS_MODERN_PARTS, message_of, part_of_bytes
from flasky.mail.conf import conf
from flasky.mail.runtime import clock
from flasky.mail.wire import sentences
from flasky.mail.wire.fast import plain_bodies, written
from flasky.mail.wire.forbidden import (
    NUL,
    has_lone_line_end,
    has_lone_return,
    refuse_forbidden,
    refuse_in_header,
    what_is_forbidden,
)
from flasky.mail.wire.given import ATTRIBUTES, as_it_reads_now, described, text_of_now, unsaid_by_bytes
from flasky.mail.wire.headers import (
    ADDRESS_HEADERS,
    MODERN_POLICY,
    PLAIN_ADDRESS,
    WIDE_DOMAIN,
    encoded_address,
    in_lines,
    wide_address,
    with_ascii_domain,
    with_ascii_domains,
)
from flasky.mail.wire.options import has_template, provider_options, send_at
from flasky.mail.wire.places import flattened

MAX_ADDRESS = 254  # characters (RFC 5321, section 4.5.3.1.3, less the angle brackets)
MAX_MESSAGE_ID = 255  # characters
MAX_KIND = MAX_CAUSE = 100  # characters

BLIND = ("bcc", "resent-bcc")  # headers that nobody is to see
PARTS = ("subject", "from_email", "body")  # that a mail has, and the template of a provider may bring


def compose(email: EmailMessage) -> dict[str, Any]:
    """Return the fields of the outbox message that keeps `email`; its Message-ID and Date are fixed from here on.

    Raise ValueError if the email cannot be kept faithfully: a line break in a header, a character that no mail can
    have, an address that SMTP cannot carry, more bytes than MAIL_MAX_SIZE, a provider option that is not JSON. What a
    database would refuse instead would take its caller's transaction along.
    """
    try:
        email = with_bcc_of_headers(email)
        refuse_forbidden(email)
        bodies = plain_bodies(email)
        if not bodies:
            email = as_it_reads_now(email)
        complete = with_all_parts(email)
        sender = envelope_address(complete.from_email, email.encoding)
        whole = with_fixed_identity(complete, sender)
        content, message_id, as_given, size_beside = wire_form(whole, email, bodies)
        # A dictionary keeps the order and drops repeats: nobody gets the mail twice for being named twice.
        recipients = list(dict.fromkeys(envelope_address(to, email.encoding) for to in email.recipients()))
    # For example a body that is no text, or one that its charset does not have.
    except (AttributeError, LookupError, MessageError, TypeError, UnicodeError) as error:
        raise ValueError(f"No mail can be made of this email: {type(error).__name__}: {error}.") from error
    if (size := len(content) + size_beside) > conf.MAIL_MAX_SIZE:
        raise ValueError(
            f"The mail {str(email.subject)[:80]!r} has {size:,} bytes; MAIL_MAX_SIZE allows "
            f"{conf.MAIL_MAX_SIZE:,}. Link to large files instead of attaching them."
        )
    if len(message_id) > MAX_MESSAGE_ID:
        raise ValueError(f"The Message-ID has {len(message_id)} characters; at most {MAX_MESSAGE_ID} can be kept.")
    return {
        "message_id": message_id,
        "from_header": str(whole.extra_headers.get("From", whole.from_email)),
        "subject": str(whole.subject),
        "envelope_sender": sender,
        "recipients": recipients,
        "content": content,
        "as_given": as_given,
        "provider_options": provider_options(email),
        **kind_and_cause(email),
    }


def kind_and_cause(email: EmailMessage) -> dict[str, str]:
    cause, kind = getattr(email, "cause", ""), getattr(email, "kind", "")
    if not isinstance(cause, str):
        raise ValueError(f"The email's cause is a {type(cause).__name__}; give it as text: cause_of(…) makes it.")
    if len(cause) > MAX_CAUSE or NUL in cause:
        raise ValueError(
            f"The email's cause is {cause[:40]!r}…; it may have {MAX_CAUSE} characters, as cause_of() makes."
        )
    if not isinstance(kind, str):
        raise ValueError(f"The email's kind is a {type(kind).__name__}; give it as text, such as 'order'.")
    return {"kind": kind.replace(NUL, "")[:MAX_KIND], "cause": cause}


def recipients_of(email: EmailMessage) -> list[str]:
    return with_bcc_of_headers(email).recipients()


def with_bcc_of_headers(email: EmailMessage) -> EmailMessage:
    """Return the email, or a copy for which those in a header Bcc are recipients like any in `bcc`.

    Django would write that header out for all to read, and send the mail to nobody in it.
    """
    hidden = {name: str(value) for name, value in email.extra_headers.items() if name.lower() in BLIND}
    if not hidden:
        return email
    for name, value in hidden.items():
        refuse_in_header(name, value)
    changed = copy.copy(email)
    changed.extra_headers = {name: value for name, value in email.extra_headers.items() if name not in hidden}
    changed.bcc = [*email.bcc, *(formataddr(pair) for pair in getaddresses(list(hidden.values())))]
    return changed


def with_fixed_identity(email: EmailMessage, sender: str) -> EmailMessage:
    """Return a copy with a Message-ID and a Date.

    The Message-ID is made with the sender's domain: Django's own would look up this machine's name, which can take
    seconds, and nobody waits for that inside a request.
    """
    given = {name.lower() for name in email.extra_headers}
    headers = dict(email.extra_headers)
    if "message-id" not in given:
        headers["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    if "date" not in given:
        # A mail for later must not be sorted among those of the day when it was stored. In UTC whatever USE_TZ says.
        date = max(now := clock.now(), send_at(email) or now)
        headers["Date"] = format_datetime(
            localtime(date) if settings.EMAIL_USE_LOCALTIME else date.astimezone(timezone.utc)
        )
    fixed = copy.copy(email)
    fixed.extra_headers = headers
    return fixed


def with_all_parts(email: EmailMessage) -> EmailMessage:
    """Return the email, or a copy with something in the place of what the template of a provider brings."""
    missing = [name for name in PARTS if getattr(email, name) is None]
    if not missing:
        return email
    if not (has_template(email) and is_for_a_provider()):
        raise ValueError(
            f"The email's {missing[0]} is None. That is for a provider that brings it: with a template_id, and with "
            f"one of Anymail's back ends as MAIL_TRANSPORT, which is {conf.MAIL_TRANSPORT}."
        )
    whole = copy.copy(email)
    for name in missing:
        setattr(whole, name, settings.DEFAULT_FROM_EMAIL if name == "from_email" else "")
    return whole


def is_for_a_provider() -> bool:
    try:
        backend = import_string(conf.MAIL_TRANSPORT)
    except ImportError:  # the checks say so
        return False
    return any(kind.__module__ == "anymail.backends.base" for kind in backend.__mro__)


def wire_form(
    whole: EmailMessage, given: EmailMessage, bodies: list[tuple[str, bytes]]
) -> tuple[bytes, str, dict[str, Any] | None, int]:
    """Return the bytes of the whole email, its Message-ID, what they do not say of the given one, and how long that is.

    The first is the second one with a fixed identity; it has these `bodies` if it has nothing else.
    """
    headers = list(header_values(whole))
    if bodies:
        header, folded = in_lines(headers)
        content = written(header, bodies)
        message_id = next(value for name, value in headers if name.lower() == "message-id")
        unsaid = unsaid_by_bytes(given, folded)
        if not unsaid:
            return content, message_id, None, 0
    else:
        for name, value in headers:
            refuse_in_header(name, value)
        message = message_of(as_django_takes_it(whole))
        for name in BLIND:
            del message[name]
        content, message_id, unsaid = as_bytes(message), str(message["Message-ID"]), [*ATTRIBUTES]
    return content, message_id, *described(given, content, unsaid)


def as_django_takes_it(email: EmailMessage) -> EmailMessage:
    """Return a copy for Django's message(), which has domains of IDNA 2003; on 6 it knows no Charset and no numbers."""
    written_out = copy.copy(email)
    if HAS_MODERN_PARTS and isinstance(email.encoding, Charset):
        written_out.encoding = email.encoding.input_charset
    written_out.attachments = [with_its_line_ends(each, email.encoding) for each in email.attachments]
    written_out.extra_headers = {name: str(text_of_now(value)) for name, value in email.extra_headers.items()}
    if not any(WIDE_DOMAIN.search(value) for _, value in header_values(email)):
        return written_out
    written_out.from_email = with_ascii_domain(str(email.from_email))
    for name in ("to", "cc", "reply_to"):
        setattr(written_out, name, [with_ascii_domain(str(address)) for address in getattr(email, name) or ()])
    written_out.extra_headers = {
        name: with_ascii_domains(value) if ADDRESS_HEADERS.fullmatch(name) else value
        for name, value in written_out.extra_headers.items()
    }
    return written_out


def with_its_line_ends(attachment: Any, encoding: Any) -> Any:
    """Return a text with carriage returns alone, which are no end of a line in any mail, as a part in base64."""
    if not (isinstance(attachment, tuple) and isinstance(attachment[1], str) and has_lone_return(attachment[1])):
        return attachment
    name, text, mimetype = attachment
    charset = str(encoding or settings.DEFAULT_CHARSET)
    return part_of_bytes(name, text.encode(charset), mimetype, charset)


def as_bytes(message: Message) -> bytes:
    content = flattened(message, MODERN_POLICY if isinstance(message.policy, EmailPolicy) else None)
    if NUL.encode() in content or has_lone_line_end(content):
        raise ValueError("The mail has a NUL character, or half an end of a line, which no mail can have.")
    return content


def header_values(email: EmailMessage) -> Iterator[tuple[str, str]]:
    """Yield the headers that Django's message() sets, in its order."""
    extra = email.extra_headers
    yield "Subject", str(email.subject)
    yield "From", str(extra.get("From", email.from_email))
    for name, addresses in (("To", email.to), ("Cc", email.cc), ("Reply-To", email.reply_to)):
        if name in extra:
            yield name, str(extra[name])
        elif addresses:
            yield name, ", ".join(map(str, addresses))
    for name, value in extra.items():
        if name.lower() not in ("from", "to", "cc", "reply-to"):
            yield name, str(text_of_now(value))


def envelope_address(address: str, encoding: Any = None) -> str:
    """Return the bare address as SMTP gets it: the domain in ASCII, the part before the @ as it is."""
    if plain := PLAIN_ADDRESS.fullmatch(str(address)):
        bare = plain[1] or plain[2]
    elif what := what_is_forbidden(str(address)):
        raise ValueError(sentences.FORBIDDEN % {"address": repr(address), "what": what})
    else:
        bare = parseaddr(encoded_address(str(address), encoding or settings.DEFAULT_CHARSET))[1]
        bare = bare if str(address).isascii() else wide_address(bare)
    local_part, at, domain = bare.rpartition("@")
    if not (at and local_part and all(domain.split("."))) or any(map(str.isspace, bare)) or NUL in bare:
        raise ValueError(sentences.NO_ADDRESS % {"address": repr(address)})
    if (size := len(bare.encode())) > MAX_ADDRESS:
        start = f"{address[:40]!r}…"
        raise ValueError(sentences.TOO_LONG % {"address": start, "count": size, "most": MAX_ADDRESS})
    if local_part.startswith("=?"):
        raise ValueError(sentences.ENCODED_WORD % {"address": repr(address)})
    return bare
