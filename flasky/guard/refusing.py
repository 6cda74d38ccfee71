"""Answer with 429 whoever has reached a limit."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from flasky.guard.limits import TooMany
from flasky.mail import OutboxFull


class TooManyRequests:
    """Middleware: whatever view or form raises TooMany or OutboxFull, the answer says when to come again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, (TooMany, OutboxFull)):
            return None
        return refused(render(request, "429.html", {"minutes": error.minutes}), error)


def refused(response: HttpResponse, error: TooMany | OutboxFull) -> HttpResponse:
    """Let the page that tells of it be the answer to what was refused."""
    response.status_code = HTTPStatus.TOO_MANY_REQUESTS
    response["Retry-After"] = str(error.seconds)
    return response
