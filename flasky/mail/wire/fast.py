"""Write plain mails ten times as fast as Django's message(), to the byte the same; without this they take that way."""

import secrets

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives

from flasky.mail.wire.headers import header_line

MAX_LINE = 998  # bytes (RFC 5322, section 2.1.1)


def plain_bodies(email: EmailMessage) -> list[tuple[str, bytes]]:
    """Return (type, text) for each body of a mail that is only text, only HTML or both; for any other an empty list."""
    bodies = [(email.body, f"text/{email.content_subtype}"), *getattr(email, "alternatives", [])]
    if (
        type(email) not in (EmailMessage, EmailMultiAlternatives)  # others may make their message() differently
        or vars(email).keys() & {"message", "alternative_subtype"}
        or email.attachments
        or (email.encoding or settings.DEFAULT_CHARSET) != "utf-8"
        or [mimetype for _, mimetype in bodies] not in (["text/plain"], ["text/html"], ["text/plain", "text/html"])
        or not all(text for text, _ in bodies)
    ):
        return []
    encoded = [(mimetype, with_crlf(text).encode()) for text, mimetype in bodies]
    is_narrow = all(len(line) <= MAX_LINE for _, text in encoded for line in text.split(b"\r\n"))
    return encoded if is_narrow else []


def with_crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def written(headers: list[tuple[str, str]], bodies: list[tuple[str, bytes]]) -> bytes:
    """Return to the byte what message() and as_bytes() would, which take ten times as long."""
    parts = [(part_header(mimetype, text), text) for mimetype, text in bodies]
    if len(parts) == 1:
        [(first, content)] = parts
    else:
        boundary = f"==============={secrets.randbits(63):019}=="
        first = f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\nMIME-Version: 1.0\r\n'
        delimiter = f"--{boundary}".encode()
        content = b"".join(b"%b\r\n%b\r\n%b\r\n" % (delimiter, header.encode(), text) for header, text in parts)
        content += b"%b--\r\n" % delimiter
    header = first + "".join(header_line(name, value) for name, value in headers)
    return b"%b\r\n%b" % (header.encode("ascii"), content)


def part_header(mimetype: str, text: bytes) -> str:
    encoding = "7bit" if text.isascii() else "8bit"
    lines = f'Content-Type: {mimetype}; charset="utf-8"', "MIME-Version: 1.0", f"Content-Transfer-Encoding: {encoding}"
    return "\r\n".join((*lines, ""))
