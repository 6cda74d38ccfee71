"""Make an email of its wire form, for transports that take emails instead of bytes."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage as ParsedEmail
from email.message import MIMEPart
from email.policy import compat32
from typing import Any

from django.core.mail import EmailMessage, EmailMultiAlternatives

from flasky.mail.compat import attachable
from flasky.mail.wire.compose import StoredMessage


class StoredEmail(EmailMultiAlternatives):
    """An email made from its wire form, for transports that take emails instead of bytes."""

    content: bytes

    def message(self, *, policy: Any = compat32) -> Any:
        """Return what was stored, unchanged, not built anew from the attributes."""
        return message_from_bytes(self.content, StoredMessage, policy=compat32.clone(linesep=policy.linesep))


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
    return "" if part is None else text_of(part)  # a part without headers is falsy


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
        email.attach(attachable(part))  # type: ignore[arg-type]
    elif part.get_content_maintype() == "message":
        email.attach(part.get_filename(), part.get_content().as_bytes(), part.get_content_type())
    elif part.get_content_maintype() == "text":
        email.attach(part.get_filename(), text_of(part), part.get_content_type())
    else:
        email.attach(part.get_filename(), part.get_payload(decode=True), part.get_content_type())
