"""Recognise the requests of probes, whose answer says what is wrong again and again: no mail repeats it."""

from collections.abc import Callable
from contextvars import ContextVar
from logging import LogRecord
from typing import Any

from django.http import HttpRequest, HttpResponse

PROBES = ("healthz", "readyz", "metrics")

_is_probed: ContextVar[bool] = ContextVar("is_probed", default=False)


def noting_probes(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Note, as the first middleware, that all that is logged meanwhile is about a probe."""

    def middleware(request: HttpRequest) -> HttpResponse:
        token = _is_probed.set(_is_probe(request))
        try:
            return get_response(request)
        finally:
            _is_probed.reset(token)

    return middleware


def is_about_a_probe(record: LogRecord) -> bool:
    """Say so also of what Django logs when the middleware has ended: it gives the request to the record."""
    return _is_probed.get() or _is_probe(getattr(record, "request", None))


def _is_probe(request: Any) -> bool:
    """Look at the first part of the path: what is asked for below it, or with a slash too many, is a probe too."""
    path = getattr(request, "path_info", "")
    return path.strip("/").partition("/")[0] in PROBES
