"""Write plain mails ten times as fast as Django's message(), to the byte the same; without this they take that way."""

import secrets

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives

MAX_LINE = 998  # bytes (RFC 5322, section 2.1.1)


def plain_bodies(email: EmailMessage) -> list[tuple[str, bytes]]:
    """Return (type, text) for each body of a mail that is only text, only HTML or both; for any other an empty list."""
    bodies = [(email.body, f"text/{email.content_subtype}"), *getattr(email, "alternatives", [])]
    if (
        type(email) not in (EmailMessage, EmailMultiAlternatives)  # others may make their message() differently
        or vars(email).keys() & {"message", "alternative_subtype"}
        or email.attachments
        or type(email.encoding) not in (str, type(None))  # a Charset may encode UTF-8 in a way of its own
        or (email.encoding or settings.DEFAULT_CHARSET) != "utf-8"
        or [mimetype for _, mimetype in bodies] not in (["text/plain"], ["text/html"], ["text/plain", "text/html"])
        or not all(text and not isinstance(text, bytes) for text, _ in bodies)
    ):
        return []
    encoded = [(mimetype, with_crlf(text).encode()) for text, mimetype in bodies]
    longest = max(max(map(len, text.split(b"\r\n"))) for _, text in encoded)
    return encoded if longest <= MAX_LINE else []


def with_crlf(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return lines.replace("\n", "\r\n")


def written(header: str, bodies: list[tuple[str, bytes]]) -> bytes:
    """Return to the byte what message() and as_bytes() would, which take ten times as long."""
    parts = [(part_header(mimetype, text), text) for mimetype, text in bodies]
    if len(parts) == 1:
        [(first, content)] = parts
    else:
        boundary = f"==============={secrets.randbits(63):019}=="
        first = f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\nMIME-Version: 1.0\r\n'
        delimiter = f"--{boundary}".encode()
        content = b"".join(b"%b\r\n%b\r\n%b\r\n" % (delimiter, of_part.encode(), text) for of_part, text in parts)
        content += b"%b--\r\n" % delimiter
    return b"%b\r\n%b" % ((first + header).encode("ascii"), content)


def part_header(mimetype: str, text: bytes) -> str:
    encoding = "7bit" if text.isascii() else "8bit"
    lines = f'Content-Type: {mimetype}; charset="utf-8"', "MIME-Version: 1.0", f"Content-Transfer-Encoding: {encoding}"
    return "\r\n".join((*lines, ""))
