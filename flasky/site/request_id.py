"""Give each request an id, in its log lines, in its mails and in its response."""

import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
MAX_LENGTH = 64  # characters
SANE = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_LENGTH}}}")  # no address, no space, nothing that a log or a page might obey

_current: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """Return the id of the request that is being answered here; nothing outside of one."""
    return _current.get()


def with_request_id(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give, as middleware, each request the id that the proxy has chosen, or one of our own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        chosen = given if SANE.fullmatch(given) else uuid.uuid4().hex
        request.request_id = chosen  # type: ignore[attr-defined]  # Django logs some requests after their middleware
        token = _current.set(chosen)
        try:
            response = get_response(request)
        finally:
            _current.reset(token)
        response[HEADER] = chosen
        return response

    return middleware
