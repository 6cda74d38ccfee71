"""Keep contents as their place in the wire form where they stand in it, word for word or in base64."""

from base64 import b64decode, b64encode
from binascii import b2a_base64
from email import message_from_bytes
from email import policy as policies
from email.generator import BytesGenerator
from email.message import Message, MIMEPart
from email.mime.base import MIMEBase
from email.parser import BytesParser
from io import BytesIO
from typing import Any

from django.core.mail.message import EmailAttachment
from django.utils.functional import Promise

from flasky.mail.compat import HAS_MODERN_PARTS
from flasky.mail.wire.headers import MODERN_POLICY

END_OF_HEADER = b"\r\n\r\n"
LINE = 76  # characters of base64 in a line
FOR_EVERY_SERVER = policies.SMTP.clone(cte_type="7bit")


class Wire:
    """The body of a wire form, without its header, which another copy of the mail has changed."""

    def __init__(self, content: bytes) -> None:
        self.body = content.partition(END_OF_HEADER)[2]
        self.size_beside = 0  # bytes of what does not stand in it
        self.end_of_last = 0  # most contents stand here one behind the other

    def attachment(self, given: Any) -> Any:
        if isinstance(given, (MIMEBase, MIMEPart)):
            raw = flattened(given, MODERN_POLICY if HAS_MODERN_PARTS else None, linesep="\n")
            return {
                "legacy_part" if isinstance(given, MIMEBase) else "part": self.place(raw, "lines") or self.beside(raw)
            }
        name, content, kind = given
        return [None if name is None else str(name), self.content(content), kind]

    def content(self, given: Any) -> dict[str, Any]:
        if given is None:
            return {"text": None}
        if isinstance(given, (str, Promise)):
            return {
                "text": self.place(str(given).encode(), "lines", "as it is", "base64") or self.text_beside(str(given))
            }
        raw = attached(given) if isinstance(given, Message) else bytes(given)
        return {"bytes": self.place(raw, "base64", "as it is", "lines") or self.beside(raw)}

    def place(self, raw: bytes, *ways: str) -> list[Any] | None:
        """Return from where to where the bytes stand here, and in which way; None if they do not."""
        for way in ways:
            written = written_in(way, raw)
            start = self.body.find(written, self.end_of_last)
            if start < 0:
                start = self.body.find(written, 0, self.end_of_last)
            if start >= 0:
                self.end_of_last = start + len(written)
                return [start, self.end_of_last, way]
        return None

    def beside(self, raw: bytes) -> str:
        return self.text_beside(b64encode(raw).decode())

    def text_beside(self, text: str) -> str:
        self.size_beside += len(text)
        return text

    def read(self, kept: Any) -> bytes:
        if isinstance(kept, str):
            return b64decode(kept)
        start, end, way = kept
        return read_from(way, self.body[start:end])

    def read_content(self, kept: dict[str, Any]) -> Any:
        [(kind, where)] = kept.items()
        if kind == "bytes":
            return self.read(where)
        return self.read(where).decode() if isinstance(where, list) else where

    def read_attachment(self, kept: Any) -> Any:
        if isinstance(kept, list):
            name, content, kind = kept
            return EmailAttachment(name, self.read_content(content), kind)
        [(kind, where)] = kept.items()
        if kind == "part":
            return message_from_bytes(self.read(where), policy=policies.default)
        return BytesParser(LegacyPart, policy=policies.compat32).parsebytes(self.read(where))


def written_in(way: str, raw: bytes) -> bytes:
    match way:
        case "base64":
            encoded = b2a_base64(raw, newline=False)
            return b"".join([encoded[at : at + LINE] + b"\r\n" for at in range(0, len(encoded), LINE)])
        case "lines":
            return raw.replace(b"\n", b"\r\n")
    return raw


def read_from(way: str, written: bytes) -> bytes:
    match way:
        case "base64":
            return b64decode(written)
        case "lines":
            return written.replace(b"\r\n", b"\n")
    return written


class LegacyPart(MIMEBase):
    """A part that was parsed, of the class of Python's older ones, which take a part's type first."""

    def __init__(self, policy: Any = policies.compat32) -> None:
        Message.__init__(self, policy=policy)


def attached(message: Message) -> bytes:
    """Return the bytes of an attached mail as Anymail writes them, and so whoever knows Anymail expects them."""
    is_of_django = type(message).__module__.startswith("django.")  # whose as_bytes() knows no policies
    return flattened(message, None) if is_of_django else message.as_bytes(policy=FOR_EVERY_SERVER)


def flattened(message: Message, policy: Any, linesep: str = "\r\n") -> bytes:
    content = BytesIO()
    BytesGenerator(content, mangle_from_=False, policy=policy).flatten(message, linesep=linesep)
    return content.getvalue()
