"""Refuse a request that is larger than the site can use, before its body is read.

Three doors lead here: gunicorn's worker (worker.py), ASGI servers (whole.py), and the middleware for all others.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse

MAX_HEAD = 32_768  # bytes
END_OF_HEAD = b"\r\n\r\n"
LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)[ \t]*\r?$")
OF_UNKNOWN_LENGTH = re.compile(rb"(?im)^transfer-encoding:")
EXPECTS = re.compile(rb"(?im)^expect:[ \t]*100-continue")


class Head(NamedTuple):
    """What the first lines of a request say."""

    size: int  # bytes of the whole request
    refusal: HTTPStatus | None
    waits: bool  # for our leave to send the body


def head_of(received: bytes | bytearray) -> Head | None:
    """Return what the head says; None while it is not here."""
    end = received.find(END_OF_HEAD)
    if end < 0:
        too_long = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        return Head(0, too_long, False) if len(received) > MAX_HEAD else None
    head = bytes(received[: end + 2])
    found = LENGTH.search(head)
    length = number(found[1].decode()) if found else 0
    refusal = refusal_of(length, bool(OF_UNKNOWN_LENGTH.search(head)))
    return Head(end + len(END_OF_HEAD) + length, refusal, bool(EXPECTS.search(head)))


def refusal_of(length: int, is_unknown: bool) -> HTTPStatus | None:
    """Return the status by which a body is refused. No browser sends one whose length it does not know."""
    if is_unknown:
        return HTTPStatus.LENGTH_REQUIRED
    return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if length > settings.MAX_BODY_SIZE else None


def number(digits: str) -> int:
    """Return the number, or one as large: Python refuses to read thousands of digits. What is no number is nothing."""
    return int(digits[:30]) if digits.isascii() and digits.isdigit() else 0


def text_of(refusal: HTTPStatus) -> str:
    if refusal == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return f"{refusal.phrase}: at most {settings.MAX_BODY_SIZE} bytes.\n"
    return f"{refusal.phrase}.\n"


def small_bodies(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse, as one of the first middlewares, what another server than ours has let through."""

    def middleware(request: HttpRequest) -> HttpResponse:
        length = number(request.META.get("CONTENT_LENGTH") or "")
        refusal = refusal_of(length, "HTTP_TRANSFER_ENCODING" in request.META)
        if refusal is None:
            return get_response(request)
        return HttpResponse(text_of(refusal), "text/plain", status=refusal)

    return middleware
