"""Keep of an email what its bytes do not say: beside them, as plain data that can be JSON.

SMTP sends the bytes. An API wants to know what was meant: the subject before it was folded, a text before it was
encoded. Of an ordinary mail the bytes say all that; of any other one the attributes that they do not say are kept. What
stands in the bytes, word for word or in base64, is kept as its place there, so that nothing large is stored twice.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from email.charset import Charset
from email.utils import format_datetime
from math import isfinite
from typing import Any

from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.message import EmailAlternative, EmailAttachment
from django.utils.functional import Promise

from flasky.mail.wire.places import Wire

ATTRIBUTES = (
    "subject",
    "from_email",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "extra_headers",
    "body",
    "content_subtype",
    "encoding",
    "alternatives",
    "attachments",
)
ADDRESSED = ("to", "cc", "bcc", "reply_to")
# Not taken for headers that somebody has given.
MADE = {"subject", "from", "to", "cc", "reply-to", "message-id", "date"}
OF_PARTS = ("content-", "mime-")
TEXT = (str, Promise)
AWKWARD = re.compile(r'[",():;\\]')  # in an address: several with ", " between them cannot be told from each other


def as_it_reads_now(email: EmailMessage) -> EmailMessage:
    """Return a copy in which lazy texts are texts, and attached emails are messages with a Message-ID of their own."""
    now: Any = copy.copy(email)
    for name in ("subject", "from_email", "body"):
        setattr(now, name, text_of_now(getattr(email, name)))
    for name in ADDRESSED:
        if getattr(email, name) is not None:
            setattr(now, name, list(map(text_of_now, as_list(name, getattr(email, name)))))
    now.extra_headers = {text_of_now(name): text_of_now(value) for name, value in email.extra_headers.items()}
    now.attachments = [
        EmailAttachment(*map(text_of_now, each)) if isinstance(each, (tuple, list)) else each
        for each in email.attachments
    ]
    if hasattr(email, "alternatives"):
        now.alternatives = [EmailAlternative(*map(text_of_now, each)) for each in email.alternatives]
    return now


def text_of_now(value: Any) -> Any:
    if isinstance(value, TEXT):
        return str(value)
    if isinstance(value, datetime):  # in a header, as Django 6 allows
        return format_datetime(value)
    return value.message() if isinstance(value, EmailMessage) else value


def unsaid_by_bytes(email: EmailMessage, folded: AbstractSet[str]) -> list[str]:
    """Return the attributes that bytes do not say of a mail of plain texts, in whose header these had to be folded."""
    others = {name.lower() for name in email.extra_headers}
    unsaid = []
    if "subject" in folded or not isinstance(email.subject, TEXT):
        unsaid.append("subject")
    if "from" in folded or "from" in others or not email.from_email:
        unsaid.append("from_email")
    for field, name in (("to", "to"), ("cc", "cc"), ("reply_to", "reply-to")):
        addresses, is_said = getattr(email, field), name not in folded and name not in others
        if not is_said or type(addresses) is not list or any(map(is_awkward, addresses)):
            unsaid.append(field)
    if email.bcc:
        unsaid.append("bcc")
    if others and not are_simple(email.extra_headers, others, folded):
        unsaid.append("extra_headers")
    if "\r" in email.body or email.content_subtype != "plain" or email.encoding:
        unsaid += ["body", "content_subtype", "encoding"]
    if any("\r" in text for text, _ in getattr(email, "alternatives", ())):
        unsaid.append("alternatives")
    return unsaid


def is_awkward(address: Any) -> bool:
    return address == "" or AWKWARD.search(str(address)) is not None


def are_simple(headers: Mapping[str, Any], names: AbstractSet[str], folded: AbstractSet[str]) -> bool:
    return (
        names.isdisjoint(folded)
        and names.isdisjoint(MADE)
        and not any(name.startswith(OF_PARTS) for name in names)
        and all(isinstance(value, TEXT) for value in headers.values())
    )


def described(email: EmailMessage, content: bytes, names: Iterable[str]) -> tuple[dict[str, Any], int]:
    """Return attributes of the email as plain data, and the bytes that these take beside `content`, its wire form."""
    wire = Wire(content)
    return {name: kept(name, getattr(email, name, ()), wire) for name in names}, wire.size_beside


def kept(name: str, value: Any, wire: Wire) -> Any:
    match name:
        case "subject" | "from_email":
            return plain(value)
        case "extra_headers":
            return [[str(header), plain(each)] for header, each in value.items()]  # a database may sort dictionaries
        case "body":
            return wire.content(value)
        case "alternatives":
            return [[wire.content(each), mimetype] for each, mimetype in value]
        case "attachments":
            return list(map(wire.attachment, value))
        case "encoding" if isinstance(value, Charset):
            return [value.input_charset, value.header_encoding, value.body_encoding, value.output_charset]
        case "encoding" | "content_subtype":
            return value if value is None else str(value)
    return value if value is None else list(map(str, as_list(name, value)))


def as_list(name: str, addresses: Any) -> Any:
    if isinstance(addresses, TEXT):  # whose characters Django would take for addresses
        raise ValueError(f"The email's {name} is a text, {str(addresses)[:80]!r}; give a list.")
    return addresses


def fill(email: EmailMultiAlternatives, description: dict[str, Any], content: bytes) -> None:
    """Give the email the attributes that `described` was given."""
    wire = Wire(content)
    for name, value in description.items():
        setattr(email, name, read(name, value, wire))


def read(name: str, value: Any, wire: Wire) -> Any:
    match name:
        case "extra_headers":
            return dict(value)
        case "body":
            return wire.read_content(value)
        case "alternatives":
            return [EmailAlternative(wire.read_content(each), mimetype) for each, mimetype in value]
        case "attachments":
            return list(map(wire.read_attachment, value))
        case "encoding" if isinstance(value, list):
            return read_charset(*value)
    return value


def plain(value: Any) -> Any:
    """Return a subject, an address or the value of a header as JSON has it."""
    is_number = isinstance(value, int) or (isinstance(value, float) and isfinite(value))
    return value if value is None or is_number else str(text_of_now(value))


def read_charset(name: str, header_encoding: Any, body_encoding: Any, output_charset: Any) -> Charset:
    charset = Charset(name)
    charset.header_encoding, charset.body_encoding, charset.output_charset = (
        header_encoding,
        body_encoding,
        output_charset,
    )
    return charset


def without_identity(description: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the description of a copy that has another Message-ID and Date."""
    if description is None or "extra_headers" not in description:
        return description
    headers = [
        [name, value] for name, value in description["extra_headers"] if name.lower() not in ("message-id", "date")
    ]
    return {**description, "extra_headers": headers}


def without_recipients(description: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the description of a copy that goes to whom the bytes and the envelope name."""
    if description is None:
        return None
    return {name: value for name, value in description.items() if name not in ("to", "cc", "bcc")}
