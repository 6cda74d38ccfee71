"""Show every stored mail in the development mailbox. Only with DEBUG."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from flasky.mail.models import OutboxMessage
from flasky.mail.web.about import Objects
from flasky.mail.web.downloads import attachment_response, eml_response
from flasky.mail.web.links import mailbox_pages
from flasky.mail.web.listing import further_back, urls_of
from flasky.mail.web.message import message_context
from flasky.mail.web.opening import sealed
from flasky.mail.web.preview import html_response
from flasky.mail.web.refresh import refresh_seconds
from flasky.mail.web.rows import rows
from flasky.mail.web.search import Listing

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
    """Show the list, and beside it the newest of its messages."""
    listing = Listing(request.GET, Objects(request, admin.site))
    newest = OutboxMessage.objects.filter(pk__in=[message.pk for message in listing.page[:1]]).first()
    return render(request, "flasky_mail/mailbox/list.html", _context(request, listing, newest))


@debug_only
@vary_on_cookie
@require_safe
def message(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one message, and beside it the list that the person came from."""
    stored = get_object_or_404(OutboxMessage, pk=pk)
    listing = Listing(QueryDict(request.GET.get("list", "")), Objects(request, admin.site))
    return render(request, "flasky_mail/mailbox/message.html", _context(request, listing, stored))


def _context(request: HttpRequest, listing: Listing, chosen: OutboxMessage | None) -> dict[str, Any]:
    url = mailbox_pages(request)
    start = url("list")
    return {
        "listing": listing,
        "rows": rows(listing, Objects(request, admin.site), urls_of(listing, url), ()),
        "newer_page": f"{start}?{listing.query(p=listing.number - 1)}" if listing.number > 1 else "",
        "older_page": f"{start}?{listing.query(p=listing.number + 1)}" if listing.number < listing.last_page else "",
        "further_back": f"{start}{further_back(listing)}" if further_back(listing) else "",
        "list_url": start,
        "templates_url": url("templates"),
        "refresh": refresh_seconds(request),
        **(message_context(request, chosen, url, admin.site, may_open=True) if chosen else {}),
    }


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
