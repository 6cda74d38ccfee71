"""What a stored message consists of, for showing it. However broken it is, there is something to show."""

import codecs
import html
import re
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.header import decode_header, make_header
from email.message import EmailMessage as ParsedEmail
from email.message import MIMEPart
from email.parser import BytesHeaderParser, BytesParser
from email.utils import getaddresses
from functools import cached_property
from mimetypes import guess_extension
from typing import Any, TypeVar
from urllib.parse import unquote

from flasky.mail.models import Action, Attempt, Door, OutboxMessage
from flasky.mail.wire.compose import other_parts
from flasky.mail.wire.headers import WIRE_POLICY

SHOWN = 200_000  # characters of a text, of the headers or of a source on a page
EMBEDDED = 20_000_000  # bytes of images in an HTML body: a mail can show one image a thousand times
MAX_BOUNDARIES = 10_000  # lines that may begin a part: each part takes a kilobyte of memory
MAX_COMPARISONS = 20_000_000  # of a line with the boundary of a multipart that it is in
MAX_NAME = 100  # characters
MAX_ADDRESSES = 1_000_000  # characters of a header
MAX_PARAMETERS = 2_000  # ditto: the time to take them apart grows with their number squared

# Every repetition has a limit: without one, a hostile mail could keep these busy for hours.
ENCODED_WORD = r"=\?[^?\s]{1,75}\?[bq]\?[^?\s]{0,998}\?="
ENCODED_WORDS = re.compile(rf"{ENCODED_WORD}(?:\s{{1,99}}{ENCODED_WORD})*", re.I)
BOUNDARY = re.compile(rb"[\r\n]--")
CID = re.compile(r"cid:([^\s\"'<>()]{1,998})", re.I)
IMAGE_TYPE = re.compile(r"image/[\w.+-]{1,60}", re.ASCII)
CONNECTING_ELEMENT = re.compile(r"<(?=(?:link|iframe)[\s/>])", re.I)
DOCTYPE = re.compile(r"\s{0,99}<!doctype[^<>]{0,999}>", re.I)
REMOTE = re.compile(
    r"""(?:\b(?:src|srcset|background|poster)\s{0,9}=|<(?:link|base|image)\b[^<>]{0,999}?\bhref\s{0,9}=|url\(|@import)"""
    r"""\s{0,9}["']?\s{0,9}(?:https?:)?//([^\s/?#"'<>()\\]{1,255})""",
    re.I,
)
PREFERRED_SCHEME = re.compile(r"\(\s{0,9}prefers-color-scheme\s{0,9}:\s{0,9}(light|dark)\s{0,9}\)", re.I)
SCHEME_PROPERTY = re.compile(r"(?<![\w-])(color-scheme\s{0,9}:\s{0,9})([a-z\s]{1,99})", re.I)
SCHEME_META = re.compile(r"<meta\b[^<>]{0,99}?\bname\s{0,9}=\s{0,9}[\"']?color-scheme\b[^<>]{0,999}>", re.I)

Result = TypeVar("Result")


def best_of(*readings: Callable[[], Result]) -> Result:
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
        shown, room = [], SHOWN
        for name, raw in self.parsed.raw_items():
            if room <= 0:
                break
            shown.append((readable(name[:room]), decoded(raw[: max(room - len(name), 0)])))
            room -= len(name) + len(raw)
        return shown

    @property
    def headers_are_cut(self) -> bool:
        return sum(len(name) + len(raw) for name, raw in self.parsed.raw_items()) > SHOWN

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
        return self.content[:SHOWN].decode(errors="replace")

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


def unfolded(raw: str) -> str:
    return re.sub(r"[\r\n]+", "", raw)


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


# The HTML


def html_for(parts: Parts, theme: str = "", remote: bool = False) -> str:
    """Return the HTML with its own images inside; in `theme` (light or dark) whatever the viewer's system prefers."""
    body = parts.html
    if not remote:
        # No policy keeps a browser from connecting to the host that a <link rel=preconnect> names, and an <iframe>
        # can have one in its srcdoc.
        body = CONNECTING_ELEMENT.sub("<x-", body)
    if theme:
        body = in_theme(body, theme)
    return with_images(links_opening_nowhere(body), parts.attachments)


def links_opening_nowhere(body: str) -> str:
    """Let links open a new window, which the sandbox forbids: a click leaves the mail where it is."""
    doctype = DOCTYPE.match(body)
    start = doctype.end() if doctype else 0
    return f'{body[:start]}<base target="_blank">{body[start:]}'


def with_images(body: str, attachments: list[Attachment]) -> str:
    """Put the images that the HTML refers to by cid: into it."""
    images = {attachment.content_id: attachment for attachment in attachments if attachment.is_embedded}
    room = EMBEDDED

    def data_uri(found: re.Match[str]) -> str:
        nonlocal room
        image = images.get(unquote(html.unescape(found[1])))
        if image is None or image.size > room:
            return found[0]
        room -= image.size
        return f"data:{image.mimetype};base64,{b64encode(image.content).decode()}"

    return CID.sub(data_uri, body) if images else body


def in_theme(body: str, theme: str) -> str:
    """Answer the question which colour scheme is preferred: a frame that runs no script has no other way."""

    def answered(found: re.Match[str]) -> str:
        return "(min-width: 0)" if found[1].lower() == theme else "(max-width: 0)"

    def chosen(found: re.Match[str]) -> str:
        return f"{found[1]}{theme}" if theme in found[2].lower().split() else found[0]

    def declared(found: re.Match[str]) -> str:
        return f'<meta name="color-scheme" content="{theme}">' if theme in found[0].lower() else found[0]

    body = PREFERRED_SCHEME.sub(answered, body)
    return SCHEME_META.sub(declared, SCHEME_PROPERTY.sub(chosen, body))


def has_own_dark(body: str) -> bool:
    return bool(re.search(r"prefers-color-scheme|color-scheme[^>;}]{0,99}\bdark\b", body, re.I))


def remote_hosts(body: str) -> list[str]:
    """Return the hosts from which the HTML would load something."""
    # Python refuses to read the number in &#999…; if it is very long.
    plain = best_of(lambda: html.unescape(body), lambda: body)
    return sorted({host.lower() for host in REMOTE.findall(plain)})


# The addresses


@dataclass
class Address:
    written: str
    outcome: str = ""  # once it is final: accepted or refused
    reply: str = ""


def addresses(message: OutboxMessage, parts: Parts) -> dict[str, list[Address]]:
    """Return who sent the message and who gets it, by what they are in it; leave out what there is none of."""
    written = {name: parts.written_addresses(name) for name in ("From", "Reply-To", "To", "Cc")}
    found = {name: [with_outcome(message, *pair) for pair in pairs] for name, pairs in written.items()}
    listed = {bare.lower() for name in ("To", "Cc") for _, bare in written[name]}
    hidden = [address for address in message.recipients if address.lower() not in listed]
    found["Recipients" if message.is_pruned else "Bcc"] = [with_outcome(message, bare, bare) for bare in hidden]
    found["From"] = found["From"] or [Address(readable(message.from_header))]
    if message.envelope_sender.lower() not in [bare.lower() for _, bare in written["From"]] and not message.is_pruned:
        found["Envelope sender"] = [Address(message.envelope_sender or "none (<>)")]
    return {name: several for name, several in found.items() if several}


def with_outcome(message: OutboxMessage, written: str, bare: str) -> Address:
    outcome = message.outcomes.get(bare)
    if outcome is None:
        return Address(written)
    return Address(written, "accepted" if outcome["accepted"] else "refused", outcome["reply"])


# What happened to it


@dataclass
class Entry:
    at: datetime
    what: str
    reply: str = ""
    details: str = ""
    other: int | None = None  # the number of another message


def history(message: OutboxMessage) -> list[Entry]:
    """Return in the order of time: that it was stored, the attempts, and what people did."""
    happened = [from_attempt(attempt) for attempt in message.attempts.all()]
    happened += [from_action(action) for action in message.actions.all()]
    stored = Entry(message.created_at, "stored", details=origin_of(message))
    return [stored, *sorted(happened, key=lambda entry: entry.at)]


def origin_of(message: OutboxMessage) -> str:
    """Return by which door the message came, and who came through it."""
    door = "from elsewhere" if message.door == Door.OTHER else f"through {message.get_door_display()}"
    return f"{door}, by {message.person}" if message.person else door


def from_attempt(attempt: Attempt) -> Entry:
    details = []
    if attempt.server:  # a holder who died has left no more than its name
        secured = "encrypted" if attempt.secured else "not encrypted"
        logged_in = "logged in" if attempt.logged_in else "no login"
        details.append(f"{attempt.seconds:.2f} s, {attempt.server} ({secured}, {logged_in})")
    if attempt.worker:
        details.append(f"by {attempt.worker}")
    return Entry(attempt.started_at, attempt.outcome, attempt.reply, ", ".join(details))


def from_action(action: Action) -> Entry:
    return Entry(action.at, action.get_verb_display(), details=f"by {action.person or 'somebody'}", other=action.other)
