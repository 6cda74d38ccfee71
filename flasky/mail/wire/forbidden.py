"""Refuse what no mail can have, before anything is stored, and the same on every database."""

import re
from collections.abc import Iterator
from copy import copy
from typing import Any

from django.core.mail import EmailMessage
from django.utils.functional import Promise

from flasky.mail.compat import LineBreakInHeader

NUL = "\0"
HEADER_NAME = re.compile("[!-9;-~]+")
LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e]")
FORBIDDEN = re.compile("\0|\r(?!\n)|[\ud800-\udfff]")

IN_HEADERS = NAME, TYPE = ("name of an attachment", "type of an attachment")


def refuse_forbidden(email: EmailMessage) -> None:
    """Raise ValueError if a text of the email has a character that no mail can have; headers are looked at apart."""
    for where, text in _texts(email):
        if what := what_is_forbidden(text):
            raise ValueError(f"The {where} has {what}, which no mail can have.")
        if where in IN_HEADERS and LINE_BREAK.search(text):
            raise ValueError(f"The {where} can't contain newlines (got {text[:80]!r}).")


def refuse_in_header(name: str, value: str) -> None:
    # Django forbids \n and \r, in values only; the standard library's folding breaks lines at the others too.
    if not HEADER_NAME.fullmatch(name) or LINE_BREAK.search(value):
        raise LineBreakInHeader(f"Header values can't contain newlines (got {value!r} for header {name!r}).")
    if what := what_is_forbidden(value):
        raise ValueError(f"The header {name} has {what}, which no mail can have.")


def what_is_forbidden(text: str) -> str:
    """Return what the text has of that (RFC 5322, section 2.3), in words; nothing if it has nothing."""
    if NUL in text:
        return f"a NUL character (in {_around(text, text.index(NUL))!r})"
    if has_lone_return(text):
        at = next(at for at, each in enumerate(text) if each == "\r" and text[at + 1 : at + 2] != "\n")
        return f"a carriage return without a line feed (in {_around(text, at)!r})"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"half a character, a lone surrogate (in {_around(text, error.start)!r})"
    return ""


def has_lone_return(text: str) -> bool:
    return "\r" in text and text.count("\r") != text.count("\r\n")


def visible(text: str) -> str:
    """Return the text with what no mail can have written as Python would escape it, for mails that must not be lost."""
    return FORBIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def with_visible_texts(email: EmailMessage) -> EmailMessage:
    """Return the email, or a copy of it with subject, body and alternatives such as every mail can have."""
    alternatives = getattr(email, "alternatives", [])
    readable = [(visible(each[0]) if isinstance(each[0], str) else each[0], each[1]) for each in alternatives]
    subject, body = visible(str(email.subject)), visible(str(email.body))
    if (subject, body, readable) == (str(email.subject), str(email.body), [tuple(each) for each in alternatives]):
        return email
    changed = copy(email)
    changed.subject, changed.body = subject, body
    if alternatives:
        changed.alternatives = []  # type: ignore[attr-defined]
        for content, mimetype in readable:
            changed.attach_alternative(content, mimetype)  # type: ignore[attr-defined]
    return changed


def has_lone_line_end(content: bytes) -> bool:
    return not content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")


def _texts(email: EmailMessage) -> Iterator[tuple[str, str]]:
    yield "email's body", str(email.body)
    for alternative in getattr(email, "alternatives", ()):
        if isinstance(content := alternative[0], (str, Promise)):
            yield f"alternative of type {alternative[1]}", str(content)
    for attachment in email.attachments:
        if isinstance(attachment, tuple):
            yield from _texts_of_attachment(*attachment)


def _texts_of_attachment(name: Any, content: Any, mimetype: Any) -> Iterator[tuple[str, str]]:
    yield NAME, str(name or "")
    yield TYPE, str(mimetype or "")
    if isinstance(content, (str, Promise)):
        yield f"attachment {name}", str(content).replace("\r", "\n")  # of whatever ends: they travel in base64


def _around(text: str, at: int) -> str:
    return text[max(at - 10, 0) : at + 10]
