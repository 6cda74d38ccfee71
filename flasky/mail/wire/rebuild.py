"""Make an email of a stored mail, for transports that take emails instead of bytes."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage as ParsedEmail
from email.message import Message, MIMEPart
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import parseaddr
from typing import Any

from django.core.mail import EmailMessage, EmailMultiAlternatives

from flasky.mail.compat import HAS_MODERN_PARTS, attachable
from flasky.mail.wire.compose import envelope_address
from flasky.mail.wire.given import ATTRIBUTES, MADE, OF_PARTS, fill, is_awkward
from flasky.mail.wire.headers import unfolded, wide_address
from flasky.mail.wire.options import restored

OURS = ("Message-ID", "Date")  # headers that each mail has, whether somebody has given them or not


class StoredEmail(EmailMultiAlternatives):
    """An email made from a stored mail, for transports that take emails instead of bytes."""

    content: bytes
    given_headers: list[str]  # of `OURS`

    def message(self, *, policy: Any = policy.default) -> Any:
        """Return what was stored, unchanged, not built anew from the attributes."""
        lines = self.content.replace(b"\r\n", b"\n")
        if HAS_MODERN_PARTS:
            return message_from_bytes(lines, ModernStoredMessage, policy=policy)
        return message_from_bytes(lines, StoredMessage, policy=compat32)


class StoredMessage(Message):
    """What a backend of Django 5.2 writes out, which names the ends of lines."""

    def as_bytes(self, unixfrom: bool = False, policy: Any = None, linesep: str = "\n") -> bytes:
        return super().as_bytes(unixfrom, (policy or self.policy).clone(linesep=linesep))

    def as_string(self, unixfrom: bool = False, maxheaderlen: int = 0, policy: Any = None, linesep: str = "\n") -> str:
        return self.as_bytes(unixfrom, policy, linesep).decode(errors="surrogateescape")


class ModernStoredMessage(ParsedEmail):
    """What a backend of Django 6 writes out, by a policy that must not fold the headers anew."""

    def as_bytes(self, unixfrom: bool = False, policy: Any = None) -> bytes:
        given: Any = policy or self.policy
        return super().as_bytes(
            unixfrom, given.clone(refold_source="none") if hasattr(given, "refold_source") else given
        )


def rebuild(
    content: bytes,
    envelope_sender: str,
    recipients: list[str],
    provider_options: dict[str, Any],
    as_given: dict[str, Any] | None = None,
) -> StoredEmail:
    """Return the email that was stored, addressed to `recipients` only."""
    email = StoredEmail()
    email.content = content = bytes(content)  # a database may lend a view of its own
    description = as_given or {}
    if len(description) < len(ATTRIBUTES):
        read_bytes(email, envelope_sender)
    fill(email, description, content)
    for name, value in provider_options.items():
        setattr(email, name, restored(value))
    address(email, recipients)
    add_our_headers(email)
    return email


def address(email: EmailMessage, recipients: list[str]) -> None:
    """Leave only `recipients` in the email, and those in Bcc that it does not name."""
    named = set()
    for field in ("to", "cc", "bcc"):
        bare = [(each, bare_address(each, email.encoding)) for each in getattr(email, field) if each]
        setattr(email, field, [each for each, address in bare if address in recipients])
        named |= {address for _, address in bare}
    email.bcc += [address for address in recipients if address not in named]


def bare_address(address: str, encoding: Any) -> str:
    try:
        return envelope_address(address, encoding)
    except ValueError:  # a header may name what is no address
        return wide_address(parseaddr(address)[1])


def add_our_headers(email: StoredEmail) -> None:
    stored = BytesHeaderParser(policy=compat32).parsebytes(email.content)
    given = {name.lower(): name for name in email.extra_headers}
    email.given_headers = [given[name.lower()] for name in OURS if name.lower() in given]
    ours = {name: unfolded(stored[name]) for name in OURS if name.lower() not in given and name in stored}
    email.extra_headers = email.extra_headers | ours


def read_bytes(email: StoredEmail, envelope_sender: str) -> None:
    """Give the email what its bytes say."""
    parsed = parse(email.content)
    email.subject = header(parsed, "Subject")
    email.from_email = header(parsed, "From") or envelope_sender
    for field, name in (("to", "To"), ("cc", "Cc"), ("reply_to", "Reply-To")):
        setattr(email, field, header_addresses(parsed, name))
    email.extra_headers = other_headers(parsed)
    email.body = text_body(parsed)
    if parsed.get_content_type() == "text/html":
        email.body, email.content_subtype = html_body(parsed), "html"
    elif html := html_body(parsed):
        email.attach_alternative(html, "text/html")
    for part, is_alternative in other_parts(parsed):
        if is_alternative:
            email.attach_alternative(text_of(part), part["Content-Type"])
        else:
            attach(email, part)


def parse(content: bytes | memoryview) -> ParsedEmail:
    return message_from_bytes(bytes(content), policy=policy.default)


def header(parsed: ParsedEmail, name: str) -> str:
    return next((readable(parsed, *item) for item in parsed.raw_items() if item[0].lower() == name.lower()), "")


def readable(parsed: ParsedEmail, name: str, raw: str) -> str:
    """Return a header as it was written, and decoded where that was not possible as it is."""
    is_as_it_is = raw.isascii() and raw.isprintable() and "=?" not in raw
    return raw if is_as_it_is else str(parsed.policy.header_fetch_parse(name, raw))


def text_body(parsed: ParsedEmail) -> str:
    return _body(parsed, "plain")


def html_body(parsed: ParsedEmail) -> str:
    return _body(parsed, "html")


def _body(parsed: ParsedEmail, kind: str) -> str:
    part = parsed.get_body((kind,))
    return "" if part is None else text_of(part)  # a part without headers is falsy


def text_of(part: MIMEPart) -> str:
    return part.get_content().replace("\r\n", "\n")


def header_addresses(parsed: ParsedEmail, name: str) -> list[str]:
    written = header(parsed, name).split(", ")
    if not any(map(is_awkward, written)) and " ".join(written).isascii():
        return written
    return [str(address) for address in parsed[name].addresses] if parsed[name] else []


def other_headers(parsed: ParsedEmail) -> dict[str, str]:
    """Return the headers that somebody has given and an email has no attribute for."""
    return {
        name: readable(parsed, name, raw)
        for name, raw in parsed.raw_items()
        if name.lower() not in MADE and not name.lower().startswith(OF_PARTS)
    }


def other_parts(parsed: ParsedEmail) -> Iterator[tuple[MIMEPart, bool]]:
    """Yield what is neither the text nor the HTML body, and whether it is an alternative to them.

    A forwarded message is one part, whatever it has inside.
    """
    bodies = [parsed.get_body((kind,)) for kind in ("plain", "html")]

    def leaves(part: MIMEPart, is_alternative: bool) -> Iterator[tuple[MIMEPart, bool]]:
        if part.get_content_maintype() != "multipart":
            yield part, is_alternative
            return
        for child in part.iter_parts():
            yield from leaves(child, part.get_content_subtype() == "alternative")

    return ((part, is_alternative) for part, is_alternative in leaves(parsed, False) if part not in bodies)


def attach(email: EmailMessage, part: MIMEPart) -> None:
    if part["Content-ID"]:  # an image that the HTML shows: the id must stay with it
        email.attach(attachable(part))  # type: ignore[arg-type]
    elif part.get_content_maintype() == "message":
        email.attach(part.get_filename(), part.get_content().as_bytes(), part.get_content_type())
    elif part.get_content_maintype() == "text":
        email.attach(part.get_filename(), text_of(part), part.get_content_type())
    else:
        email.attach(part.get_filename(), part.get_payload(decode=True), part.get_content_type())
