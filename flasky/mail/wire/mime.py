"""Read the parts of a stored mail, however broken it is: there is always something to show."""

import codecs
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import EmailMessage as ParsedEmail
from email.message import MIMEPart
from email.parser import BytesHeaderParser, BytesParser
from email.utils import getaddresses
from functools import cached_property
from mimetypes import guess_extension
from typing import Any, TypeVar

from flasky.mail.wire.headers import WIRE_POLICY, unfolded
from flasky.mail.wire.rebuild import other_parts

MOST_SHOWN = 200_000  # characters of a text, of the headers or of a source on a page
MAX_BOUNDARIES = 10_000  # lines that may begin a part: each part takes a kilobyte of memory
MAX_COMPARISONS = 20_000_000  # of a line with the boundary of a multipart that it is in
MAX_NAME = 100  # characters
MAX_ADDRESSES = 1_000_000  # characters of a header
MAX_PARAMETERS = 2_000  # ditto: the time to take them apart grows with their number squared

# Every repetition has a limit: without one, a hostile mail could keep these busy for hours.
ENCODED_WORD = r"=\?[^?\s]{1,75}\?[bq]\?[^?\s]{0,998}\?="
ENCODED_WORDS = re.compile(rf"{ENCODED_WORD}(?:\s{{1,99}}{ENCODED_WORD})*", re.I)
BOUNDARY = re.compile(rb"[\r\n]--")
IMAGE_TYPE = re.compile(r"image/[\w.+-]{1,60}", re.ASCII)

Read = TypeVar("Read")


def best_of(*readings: Callable[[], Read]) -> Read:
    """Return what the first reading returns that does not fail; the last one must not.

    The standard library's parser raises errors of many kinds for malformed mails.
    """
    for reading in readings[:-1]:
        with suppress(Exception):
            return reading()
    return readings[-1]()


def readable(text: str) -> str:
    """Return the text without lone surrogates, which no page can carry; the parser makes them of 8-bit headers."""
    return best_of(
        lambda: text.encode(errors="surrogateescape").decode(errors="replace"),
        lambda: text.encode(errors="replace").decode(),
    )


class Mail(ParsedEmail):
    """A parsed mail, or a part of one, whose headers are plain strings.

    The standard library's newer policies take a header apart whenever it is asked for, and minutes for a hostile one.
    """

    def set_raw(self, name: str, value: str) -> None:
        super().set_raw(name, value[:MAX_PARAMETERS] if name.lower().startswith("content-") else value)

    def is_attachment(self) -> bool:
        return self.get_content_disposition() == "attachment"


class Parts:
    """The parts of a message in wire form, each parsed when it is first asked for."""

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = bytes(content)

    @cached_property
    def parsed(self) -> Mail:
        return best_of(lambda: parsed_whole(self.content), lambda: parsed_headers(self.content))

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """As far as a page shows them."""
        shown, room = [], MOST_SHOWN
        for name, raw in self.parsed.raw_items():
            if room <= 0:
                break
            shown.append((readable(name[:room]), decoded(raw[: max(room - len(name), 0)])))
            room -= len(name) + len(raw)
        return shown

    @property
    def headers_are_cut(self) -> bool:
        return sum(len(name) + len(raw) for name, raw in self.parsed.raw_items()) > MOST_SHOWN

    @cached_property
    def text(self) -> str:
        return self._body("plain")

    @cached_property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: str) -> str:
        part = best_of(lambda: self.parsed.get_body((kind,)), lambda: None)
        return "" if part is None else text_of(part)  # a part without headers is false

    @property
    def source(self) -> str:
        return self.content[:MOST_SHOWN].decode(errors="replace")

    @cached_property
    def attachments(self) -> list["Attachment"]:
        """Everything but the text and the HTML, numbered from 1."""
        parts: list[MIMEPart] = best_of(
            lambda: [part for part, _ in other_parts(self.parsed)],
            lambda: [part for part in self.parsed.walk() if not part.is_multipart()],
        )
        return [Attachment(number, part) for number, part in enumerate(parts, start=1)]

    def written_addresses(self, name: str) -> list[tuple[str, str]]:
        """Return (as written, bare) for each address of the header."""
        raw = next((raw for other, raw in self.parsed.raw_items() if other.lower() == name.lower()), "")
        pairs = best_of(lambda: getaddresses([unfolded(raw[:MAX_ADDRESSES])]), lambda: [])
        found = [(readable(bare), decoded(known_as)) for known_as, bare in pairs if bare]
        if not found and raw:  # such as "undisclosed-recipients:;"
            return [(decoded(raw), decoded(raw))]
        return [(f"{known_as} <{bare}>" if known_as else bare, bare) for bare, known_as in found]


def parsed_whole(content: bytes) -> Any:
    """Raise an error if there are more parts, or parts nested deeper, than can be taken apart while somebody waits."""
    lines = max(content.count(b"\n"), content.count(b"\r"))
    multiparts = content.lower().count(b"boundary")
    if lines * multiparts > MAX_COMPARISONS or len(BOUNDARY.findall(content)) > MAX_BOUNDARIES:
        raise ValueError("The mail has too many parts.")
    return BytesParser(Mail, policy=WIRE_POLICY).parsebytes(content)


def parsed_headers(content: bytes) -> Any:
    return BytesHeaderParser(Mail, policy=WIRE_POLICY).parsebytes(content)


def decoded(raw: str) -> str:
    """Return a header as people read it."""
    return readable(ENCODED_WORDS.sub(lambda found: decoded_words(found[0]), unfolded(raw))).strip()


def decoded_words(words: str) -> str:
    return best_of(lambda: str(make_header(decode_header(words))), lambda: words)


def text_of(part: MIMEPart) -> str:
    """Return the part's text, as UTF-8 if it does not say truly what it is."""
    content = content_of(part)
    text = best_of(lambda: content.decode(charset_of(part), errors="replace"), lambda: content.decode(errors="replace"))
    return readable(text.replace("\r\n", "\n"))


def charset_of(part: MIMEPart) -> str:
    charset = codecs.lookup(part.get_content_charset("utf-8")).name
    return "utf-8" if charset == "punycode" else charset  # its reader needs minutes for a megabyte


def type_of(part: MIMEPart) -> str:
    return best_of(lambda: readable(part.get_content_type()), lambda: "application/octet-stream")


def content_of(part: MIMEPart) -> bytes:
    return best_of(lambda: _content_of(part), lambda: b"")


def _content_of(part: MIMEPart) -> bytes:
    if part.is_multipart():  # a mail that is attached to this one
        attached: Any = part.get_payload()
        return b"\r\n".join(mail.as_bytes(policy=WIRE_POLICY) for mail in attached)
    content: Any = part.get_payload(decode=True)
    return content or b""


@dataclass
class Attachment:
    number: int
    part: MIMEPart

    @cached_property
    def mimetype(self) -> str:
        return type_of(self.part)

    @cached_property
    def content_id(self) -> str:
        return best_of(lambda: str(self.part["Content-ID"] or "").strip(" <>"), lambda: "")

    @cached_property
    def name(self) -> str:
        """The name under which it may be saved: no folder, nothing invisible."""
        given = best_of(lambda: self.part.get_filename() or "", lambda: "")
        return safe_name(decoded(given)) or f"part-{self.number}{self.usual_ending}"

    @property
    def usual_ending(self) -> str:
        return ".eml" if self.mimetype == "message/rfc822" else guess_extension(self.mimetype) or ""

    @property
    def is_embedded(self) -> bool:
        return bool(self.content_id and IMAGE_TYPE.fullmatch(self.mimetype))

    @cached_property
    def content(self) -> bytes:
        return content_of(self.part)

    @property
    def size(self) -> int:
        return len(self.content)


def safe_name(given: str) -> str:
    # An invisible character can turn the rest of a name around, so that it seems to end in .pdf.
    name = "".join(filter(str.isprintable, re.split(r"[/\\]", given)[-1])).strip(". ")
    stem, dot, ending = name.rpartition(".")
    if len(name) <= MAX_NAME or len(ending) > MAX_NAME // 2:
        return name[:MAX_NAME]
    return stem[: MAX_NAME - len(dot + ending)] + dot + ending
