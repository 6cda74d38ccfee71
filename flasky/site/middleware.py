"""What belongs to the site as a whole: health, error pages, the link to the development mailbox."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.template.loader import render_to_string

Handler = Callable[[HttpRequest], HttpResponse]


def healthz(get_response: Handler) -> Handler:
    """Answer, as the first middleware, a load balancer: it probes by IP address and without TLS."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return HttpResponse("ok\n", content_type="text/plain")
        return get_response(request)

    return middleware


def utf8_only(get_response: Handler) -> Handler:
    """Refuse, as middleware, a body in another charset: Django would fail on codecs that are none for text."""

    def middleware(request: HttpRequest) -> HttpResponse:
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower() != "utf-8":
            return bad_request(request, ValueError(charset))
        return get_response(request)

    return middleware


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer without looking at the request: reading a body in a strange charset is what failed."""
    return HttpResponseBadRequest(render_to_string("400.html"))


def mailbox_link(request: HttpRequest) -> dict[str, Any]:
    return {"mailbox_link": settings.DEBUG}
