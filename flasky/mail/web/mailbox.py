"""Show every stored mail in the development mailbox. Only with DEBUG."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from flasky.mail.models import OutboxMessage
from flasky.mail.web.downloads import attachment_response, eml_response
from flasky.mail.web.links import mailbox_pages
from flasky.mail.web.listing import charts_context, list_context
from flasky.mail.web.message import message_context
from flasky.mail.web.opening import sealed
from flasky.mail.web.preview import html_response

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
    url = mailbox_pages(request)
    context = {**list_context(request, url, admin.site), "templates_url": url("templates")}
    return render(request, "flasky_mail/mailbox/list.html", context)


@debug_only
@require_safe
def charts(request: HttpRequest) -> HttpResponse:
    return render(request, "flasky_mail/mailbox/charts.html", charts_context(request, mailbox_pages(request)))


@debug_only
@require_safe
def message(request: HttpRequest, pk: int) -> HttpResponse:
    stored = get_object_or_404(OutboxMessage, pk=pk)
    context = message_context(request, stored, mailbox_pages(request), admin.site, may_open=True)
    return render(request, "flasky_mail/mailbox/message.html", context)


@debug_only
@require_safe
def html(request: HttpRequest, pk: int, remote: bool) -> HttpResponse:
    return _unless_sensitive(pk, partial(html_response, remote=remote))


@debug_only
@require_safe
def eml(request: HttpRequest, pk: int) -> HttpResponse:
    return _unless_sensitive(pk, eml_response)


@debug_only
@require_safe
def attachment(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    return _unless_sensitive(pk, partial(attachment_response, number=number))


def _unless_sensitive(pk: int, answer: Callable[[OutboxMessage], HttpResponse]) -> HttpResponse:
    stored = get_object_or_404(OutboxMessage, pk=pk)
    return sealed(stored) if stored.is_sensitive else answer(stored)
