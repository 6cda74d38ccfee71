"""The development mailbox: every stored mail, to be looked at in the browser. Only with DEBUG."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from flasky.mail.models import OutboxMessage
from flasky.mail.web.listing import charts_context, list_context
from flasky.mail.web.message import attachment_response, eml_response, html_response, message_context

View = Callable[..., Any]


def debug_only(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        if not settings.DEBUG:
            raise Http404
        return view(request, **arguments)

    return guarded


@debug_only
@vary_on_cookie
@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    return render(request, "mailbox/list.html", list_context(request, address))


@debug_only
@require_safe
def charts(request: HttpRequest) -> HttpResponse:
    return render(request, "mailbox/charts.html", charts_context(request, address))


@debug_only
@require_safe
def message(request: HttpRequest, pk: int) -> HttpResponse:
    stored = get_object_or_404(OutboxMessage, pk=pk)
    return render(request, "mailbox/message.html", message_context(request, stored, address))


@debug_only
@require_safe
def html(request: HttpRequest, pk: int) -> HttpResponse:
    return html_response(request, get_object_or_404(OutboxMessage, pk=pk))


@debug_only
@require_safe
def eml(request: HttpRequest, pk: int) -> HttpResponse:
    return eml_response(get_object_or_404(OutboxMessage, pk=pk))


@debug_only
@require_safe
def attachment(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    return attachment_response(get_object_or_404(OutboxMessage, pk=pk), number)


def address(name: str, *numbers: int) -> str:
    return reverse(f"mailbox:{name}", args=numbers)
