"""The development mailbox: every stored mail, to be looked at in the browser. Only with DEBUG."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from flasky.mail.models import OutboxMessage
from flasky.mail.notices import about, notices, pruned
from flasky.mail.wire import html_body, parse, text_body

PER_PAGE = 50
View = Callable[..., Any]

# The mail's own HTML may style itself and show embedded images. It runs, loads, sends and navigates nothing.
ISOLATED = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


def debug_only(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, **arguments: Any) -> HttpResponse:
        if not settings.DEBUG:
            raise Http404
        return view(request, **arguments)

    return guarded


@debug_only
@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    messages = OutboxMessage.objects.defer("content").order_by("-pk")
    page = Paginator(messages, PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "mailbox/list.html", {"page": page, "notices": notices()})


@debug_only
@require_safe
def message(request: HttpRequest, pk: int) -> HttpResponse:
    stored = get_object_or_404(OutboxMessage, pk=pk)
    parsed = parse(stored.content)
    context = {
        "message": stored,
        "notices": about(stored),
        "headers": parsed.items(),
        "text": text_body(parsed),
        "has_html": bool(html_body(parsed)),
        "attempts": stored.attempts.all(),
    }
    return render(request, "mailbox/message.html", context)


@debug_only
@require_safe
@xframe_options_sameorigin
def html(request: HttpRequest, pk: int) -> HttpResponse:
    stored = get_object_or_404(OutboxMessage, pk=pk)
    if stored.is_pruned:
        return gone(stored)
    return HttpResponse(html_body(parse(stored.content)), headers={"Content-Security-Policy": ISOLATED})


@debug_only
@require_safe
def source(request: HttpRequest, pk: int) -> HttpResponse:
    stored = get_object_or_404(OutboxMessage, pk=pk)
    if stored.is_pruned:
        return gone(stored)
    return HttpResponse(bytes(stored.content), content_type="text/plain; charset=utf-8")


def gone(message: OutboxMessage) -> HttpResponse:
    return HttpResponse(f"{pruned(message)}\n", status=410, content_type="text/plain; charset=utf-8")
