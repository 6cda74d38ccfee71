"""Answer for the site as a whole: health, error pages, the link to the development mailbox."""

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.admin.options import TO_FIELD_VAR
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, UnreadablePostError
from django.template.loader import render_to_string
from django.utils import translation

Handler = Callable[[HttpRequest], HttpResponse]

strangers = logging.getLogger("django.security.DisallowedHost")  # where Django logs it


def healthz(get_response: Handler) -> Handler:
    """Answer, as the first middleware, a load balancer: it probes by IP address and without TLS."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == "/healthz":
            return HttpResponse("ok\n", content_type="text/plain")
        return get_response(request)

    return middleware


def in_ones_own_language(get_response: Handler) -> Handler:
    """Let, as middleware, what is refused before LocaleMiddleware be told in this visitor's language.

    Otherwise it is the language of whoever was served by this thread before.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        translation.activate(translation.get_language_from_request(request))
        return get_response(request)

    return middleware


def known_host(get_response: Handler) -> Handler:
    """Refuse, as middleware, a name that is not in ALLOWED_HOSTS; Django's own page tells everything while DEBUG."""

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
        except DisallowedHost as error:
            strangers.error(str(error), extra={"status_code": 400, "request": request})
            return bad_request(request, error)
        return get_response(request)

    return middleware


def readable_body(get_response: Handler) -> Handler:
    """Refuse, as middleware, a body that cannot be read, before a page or an error page fails at it.

    What is no UTF-8 is refused whatever it is: Django would fail on codecs that are none for text, which a part of a
    form can name too.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower() != "utf-8":
            return bad_request(request, ValueError(charset))
        try:
            _ = request.POST  # other errors are Django's own, which it answers with 400 as well
        except (LookupError, ValueError, UnreadablePostError) as error:
            return bad_request(request, error)
        return get_response(request)

    return middleware


def named_field(get_response: Handler) -> Handler:
    """Refuse, as middleware, the empty name of a field, which Django's admin would look up on any of its pages.

    Every other name that it does not know it refuses by itself.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if "" in (request.GET.get(TO_FIELD_VAR), request.POST.get(TO_FIELD_VAR)):
            return bad_request(request, ValueError(TO_FIELD_VAR))
        return get_response(request)

    return middleware


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer without looking at the request: reading a body in a strange charset is what failed."""
    return HttpResponseBadRequest(render_to_string("400.html"))


def mailbox_link(request: HttpRequest) -> dict[str, Any]:
    return {"mailbox_link": settings.DEBUG}
