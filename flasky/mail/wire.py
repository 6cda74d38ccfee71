"""Between Django's emails and the wire form (RFC 5322) in which the outbox keeps them."""

import copy
import json
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage as ParsedEmail
from email.message import MIMEPart
from email.mime.base import MIMEBase
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.message import sanitize_address
from django.utils import timezone

MAX_ADDRESS = 254  # characters (RFC 5321, section 4.5.3.1.3, less the angle brackets)
MAX_MESSAGE_ID = 255  # characters

# What Anymail reads from an email beyond Django's own attributes.
PROVIDER_OPTIONS = (
    "envelope_sender",
    "esp_extra",
    "merge_data",
    "merge_global_data",
    "merge_headers",
    "merge_metadata",
    "metadata",
    "send_at",
    "tags",
    "template_id",
    "track_clicks",
    "track_opens",
)


def compose(email: EmailMessage) -> dict[str, Any]:
    """Return the fields of the outbox message that keeps `email`; its Message-ID and Date are fixed from here on.

    Raise ValueError if the email cannot be kept faithfully: a line break in a header, an address that SMTP cannot
    carry, more bytes than MAIL_MAX_SIZE, a provider option that is not JSON.
    """
    message = with_fixed_identity(email).message()
    content: bytes = message.as_bytes(linesep="\r\n")  # type: ignore[call-arg]
    if len(content) > settings.MAIL_MAX_SIZE:
        raise ValueError(
            f"The mail {str(email.subject)[:80]!r} has {len(content):,} bytes; MAIL_MAX_SIZE allows "
            f"{settings.MAIL_MAX_SIZE:,}. Link to large files instead of attaching them."
        )
    message_id = str(message["Message-ID"])
    if len(message_id) > MAX_MESSAGE_ID:
        raise ValueError(f"The Message-ID has {len(message_id)} characters; at most {MAX_MESSAGE_ID} can be kept.")
    return {
        "message_id": message_id,
        "from_header": str(email.extra_headers.get("From", email.from_email)),
        "subject": str(email.subject),
        "envelope_sender": envelope_address(email.from_email, email.encoding),
        # A dictionary keeps the order and drops repeats: nobody gets the mail twice for being named twice.
        "recipients": list(dict.fromkeys(envelope_address(to, email.encoding) for to in email.recipients())),
        "content": content,
        "provider_options": provider_options(email),
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
        headers["Date"] = format_datetime(timezone.localtime() if settings.EMAIL_USE_LOCALTIME else timezone.now())
    fixed = copy.copy(email)
    fixed.extra_headers = headers
    return fixed


def envelope_address(address: str, encoding: Any = None) -> str:
    """Return the bare address as SMTP gets it, the domain in its ASCII form."""
    try:
        bare = parseaddr(sanitize_address(address, encoding or settings.DEFAULT_CHARSET))[1]
    except (AttributeError, IndexError, TypeError) as error:  # what Django's parser makes of "Ann <>"
        raise ValueError(f"{address!r} is not a mail address.") from error
    local_part, at, domain = bare.rpartition("@")
    if not (at and local_part and all(domain.split("."))) or any(map(str.isspace, bare)):
        raise ValueError(f"{address!r} is not a mail address: a name, an @ and a domain are needed.")
    if len(bare) > MAX_ADDRESS:
        raise ValueError(f"{address[:40]!r}… has {len(bare)} characters; a mail address has at most {MAX_ADDRESS}.")
    if local_part.startswith("=?"):
        raise ValueError(f"{address!r} cannot be reached by plain SMTP: the part before the @ must be ASCII.")
    return bare


def provider_options(email: EmailMessage) -> dict[str, Any]:
    options = {}
    for name in PROVIDER_OPTIONS:
        value = vars(email).get(name)
        if value is None:
            continue
        try:
            options[name] = json.loads(json.dumps(value))
        except TypeError as error:
            raise ValueError(f"The email's {name} cannot be kept in the outbox: {error}.") from error
    return options


class StoredEmail(EmailMultiAlternatives):
    """An email made from its wire form, for transports that take emails instead of bytes."""

    content: bytes

    def message(self, **options: Any) -> Any:
        """Return what was stored, unchanged, not built anew from the attributes."""
        return message_from_bytes(self.content)


def rebuild(
    content: bytes, envelope_sender: str, recipients: list[str], provider_options: dict[str, Any]
) -> StoredEmail:
    """Return the email with this wire form, addressed to `recipients` only."""
    parsed = parse(content)
    email = StoredEmail(
        subject=header(parsed, "Subject"),
        body=text_body(parsed),
        from_email=header(parsed, "From") or envelope_sender,
        to=addressed(parsed, "To", recipients),
        cc=addressed(parsed, "Cc", recipients),
        reply_to=[formatted for formatted, _ in header_addresses(parsed, "Reply-To")],
        headers=other_headers(parsed),
    )
    listed = {bare for name in ("To", "Cc") for _, bare in header_addresses(parsed, name)}
    email.bcc = [address for address in recipients if address not in listed]
    email.content = content
    if html := html_body(parsed):
        email.attach_alternative(html, "text/html")
    for part, is_alternative in other_parts(parsed):
        if is_alternative:
            email.attach_alternative(text_of(part), part["Content-Type"])
        else:
            attach(email, part)
    for name, value in provider_options.items():
        setattr(email, name, value)
    return email


def parse(content: bytes | memoryview) -> ParsedEmail:
    return message_from_bytes(bytes(content), policy=policy.default)


def header(parsed: ParsedEmail, name: str) -> str:
    return str(parsed[name] or "")


def text_body(parsed: ParsedEmail) -> str:
    return _body(parsed, "plain")


def html_body(parsed: ParsedEmail) -> str:
    return _body(parsed, "html")


def _body(parsed: ParsedEmail, kind: str) -> str:
    part = parsed.get_body((kind,))
    return text_of(part) if part else ""


def text_of(part: MIMEPart) -> str:
    return part.get_content().replace("\r\n", "\n")


def header_addresses(parsed: ParsedEmail, name: str) -> list[tuple[str, str]]:
    """Return (as written, bare) for each address of the header."""
    addresses = parsed[name].addresses if parsed[name] else ()
    return [(str(address), address.addr_spec) for address in addresses]


def addressed(parsed: ParsedEmail, name: str, recipients: list[str]) -> list[str]:
    return [formatted for formatted, bare in header_addresses(parsed, name) if bare in recipients]


def other_headers(parsed: ParsedEmail) -> dict[str, str]:
    """Return the headers that an email has no attribute for."""
    known = {"subject", "from", "to", "cc", "reply-to", "mime-version", "content-type", "content-transfer-encoding"}
    return {name: str(value) for name, value in parsed.items() if name.lower() not in known}


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
        inline = MIMEBase(*part.get_content_type().split("/"))
        for name, value in part.items():
            if name.lower() != "content-type":
                inline[name] = str(value)
        inline.set_payload(part.get_payload())
        email.attach(inline)
    elif part.get_content_maintype() == "message":
        email.attach(part.get_filename(), part.get_content().as_bytes(), part.get_content_type())
    elif part.get_content_maintype() == "text":
        email.attach(part.get_filename(), text_of(part), part.get_content_type())
    else:
        email.attach(part.get_filename(), part.get_payload(decode=True), part.get_content_type())
