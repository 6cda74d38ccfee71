"""Compose the wire form (RFC 5322) of an email, in which the outbox keeps it."""

import copy
import json
import re
import sys
from collections.abc import Iterator, Mapping
from email.generator import BytesGenerator
from email.message import Message
from email.utils import format_datetime, make_msgid, parseaddr
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone
from django.utils.functional import Promise

from flasky.mail.compat import LineBreakInHeader
from flasky.mail.wire.fast import plain_bodies, written
from flasky.mail.wire.headers import encoded_address

MAX_ADDRESS = 254  # characters (RFC 5321, section 4.5.3.1.3, less the angle brackets)
MAX_MESSAGE_ID = 255  # characters
MAX_EVENT = MAX_CAUSE = 100  # characters

HEADER_NAME = re.compile("[!-9;-~]+")
LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e]")
NUL = "\0"  # no database's text has it

# `ann@example.com`, `Ann <ann@example.com>`: nearly all addresses need no parser, which is slow.
_ATOM, _LABEL = r"[\w!#$%&'*+/=?^`{|}~-]+", r"[A-Za-z0-9-]{1,63}"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"
PLAIN_ADDRESS = re.compile(rf"""({_ADDRESS})|(?:(?:\w+ )+|"[\w ]+" )<({_ADDRESS})>""", re.ASCII)

# What Anymail reads from an email beyond Django's own attributes.
PROVIDER_OPTIONS = (
    "envelope_sender",
    "esp_extra",
    "merge_data",
    "merge_global_data",
    "merge_headers",
    "merge_metadata",
    "metadata",
    "tags",
    "template_id",
    "track_clicks",
    "track_opens",
)
GIVEN_HEADERS = "given_headers"  # beside those: the headers that we would have made if nobody had given them


def compose(email: EmailMessage) -> dict[str, Any]:
    """Return the fields of the outbox message that keeps `email`; its Message-ID and Date are fixed from here on.

    Raise ValueError if the email cannot be kept faithfully: a line break or a NUL in a header, an address that SMTP
    cannot carry, more bytes than MAIL_MAX_SIZE, a provider option that is not JSON. What a database would
    refuse instead would take its caller's transaction along.
    """
    try:
        content, message_id = wire_form(with_fixed_identity(email))
    except (AttributeError, LookupError, TypeError) as error:  # a body that is no text, a charset that nobody knows
        raise ValueError(f"No mail can be made of this email: {type(error).__name__}: {error}.") from error
    if len(content) > settings.MAIL_MAX_SIZE:
        raise ValueError(
            f"The mail {str(email.subject)[:80]!r} has {len(content):,} bytes; MAIL_MAX_SIZE allows "
            f"{settings.MAIL_MAX_SIZE:,}. Link to large files instead of attaching them."
        )
    if len(message_id) > MAX_MESSAGE_ID:
        raise ValueError(f"The Message-ID has {len(message_id)} characters; at most {MAX_MESSAGE_ID} can be kept.")
    cause = getattr(email, "cause", "")
    if len(cause) > MAX_CAUSE or NUL in cause:
        raise ValueError(
            f"The email's cause is {cause[:40]!r}…; it may have {MAX_CAUSE} characters, as cause_of() makes."
        )
    return {
        "message_id": message_id,
        "from_header": str(email.extra_headers.get("From", email.from_email)),
        "subject": str(email.subject),
        "envelope_sender": envelope_address(email.from_email, email.encoding),
        # A dictionary keeps the order and drops repeats: nobody gets the mail twice for being named twice.
        "recipients": list(dict.fromkeys(envelope_address(to, email.encoding) for to in email.recipients())),
        "content": content,
        "provider_options": provider_options(email),
        "event": getattr(email, "event", "").replace(NUL, "")[:MAX_EVENT],
        "cause": cause,
    }


def with_fixed_identity(email: EmailMessage) -> EmailMessage:
    """Return a copy with a Message-ID and a Date.

    The Message-ID is made with the sender's domain: Django's own would look up this machine's name, which can take
    seconds, and nobody waits for that inside a request.
    """
    for name in ("subject", "from_email", "body"):
        if getattr(email, name) is None:
            raise ValueError(f"The email's {name} is None; the outbox can only keep mails that have one.")
    given = {name.lower() for name in email.extra_headers}
    headers = dict(email.extra_headers)
    if "message-id" not in given:
        domain = envelope_address(email.from_email, email.encoding).rpartition("@")[2]
        headers["Message-ID"] = make_msgid(domain=domain or "localhost")
    if "date" not in given:
        # A mail for later must not be sorted among those of the day when it was stored.
        date = max(now := timezone.now(), attribute(email, "send_at") or now)
        headers["Date"] = format_datetime(timezone.localtime(date) if settings.EMAIL_USE_LOCALTIME else date)
    fixed = copy.copy(email)
    fixed.extra_headers = headers
    return fixed


def wire_form(email: EmailMessage) -> tuple[bytes, str]:
    """Return the bytes of an email with a fixed identity, and its Message-ID."""
    headers = list(header_values(email))
    for name, value in headers:
        # Django forbids \n and \r, in values only; the standard library's folding breaks lines at the others too.
        if not HEADER_NAME.fullmatch(name) or LINE_BREAK.search(value):
            raise LineBreakInHeader(f"Headers can't contain newlines (got {value!r} for header {name!r}).")
        if NUL in value:
            raise ValueError(f"The header {name} has a NUL character, which no mail may have (got {value[:80]!r}).")
    if bodies := plain_bodies(email):
        return written(headers, bodies), next(value for name, value in headers if name.lower() == "message-id")
    message = email.message()
    return as_bytes(message), str(message["Message-ID"])


def as_bytes(message: Message) -> bytes:
    content = BytesIO()
    BytesGenerator(content, mangle_from_=False).flatten(message, linesep="\r\n")
    return content.getvalue()


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
            yield name, str(value)


def envelope_address(address: str, encoding: Any = None) -> str:
    """Return the bare address as SMTP gets it, the domain in its ASCII form."""
    if plain := PLAIN_ADDRESS.fullmatch(str(address)):
        bare = plain[1] or plain[2]
    else:
        bare = parseaddr(encoded_address(str(address), encoding or settings.DEFAULT_CHARSET))[1]
    local_part, at, domain = bare.rpartition("@")
    if not (at and local_part and all(domain.split("."))) or any(map(str.isspace, bare)) or NUL in bare:
        raise ValueError(f"{address!r} is not a mail address: a name, an @ and a domain are needed.")
    if len(bare) > MAX_ADDRESS:
        raise ValueError(f"{address[:40]!r}… has {len(bare)} characters; a mail address has at most {MAX_ADDRESS}.")
    if local_part.startswith("=?"):
        raise ValueError(f"{address!r} cannot be reached by plain SMTP: the part before the @ must be ASCII.")
    return bare


def provider_options(email: EmailMessage) -> dict[str, Any]:
    options = {}
    for name in PROVIDER_OPTIONS:
        value = attribute(email, name)
        if value is None:
            continue
        try:
            # No database's JSON has a NaN, and none of them half a pair of surrogates.
            text = json.dumps(plain(value), allow_nan=False, ensure_ascii=False)
            options[name] = json.loads(text.encode())
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"The email's {name} cannot be kept in the outbox: {error}.") from error
    if given := [name for name in email.extra_headers if name.lower() in ("message-id", "date")]:
        options[GIVEN_HEADERS] = given
    return options


def attribute(email: EmailMessage, name: str) -> Any:
    """Return the value that Anymail reads, or None if it is not given."""
    value = getattr(email, name, None)
    return None if is_unset(value) else value


def is_unset(value: Any) -> bool:
    """Tell whether it is what Anymail's own message classes have in the place of an option that is not given."""
    anymail = sys.modules.get("anymail.utils")  # whoever has not imported it has none of its values either
    return anymail is not None and value is anymail.UNSET


def plain(value: Any) -> Any:
    """Return an option's value with lazy texts as they read now, and without what is unset."""
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, str) and NUL in value:
        raise ValueError("a text has a NUL character")
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items() if not is_unset(inner)}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value if not is_unset(inner)]
    return value


class StoredMessage(Message):
    """What a backend writes out. That of Django 5.2 names the ends of lines, later ones name a policy before."""

    def as_bytes(self, unixfrom: bool = False, policy: Any = None, linesep: str | None = None) -> bytes:
        policy = policy or self.policy
        return super().as_bytes(unixfrom, policy.clone(linesep=linesep) if linesep else policy)
