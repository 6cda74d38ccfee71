"""Show the outbox at a glance on any page, such as the admin's index, by the tag `{% outbox_strip %}`.

The other tags and the filters are for the app's own templates.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django import template
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from flasky.mail.runtime import clock
from flasky.mail.status import written
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.web.links import admin_pages
from flasky.mail.web.listing import strip_context, try_now_context
from flasky.mail.web.permissions import may_view

register = template.Library()


@register.inclusion_tag("flasky_mail/web/outbox_strip.html", takes_context=True)
def outbox_strip(context: template.RequestContext) -> dict[str, Any]:
    """Show the strip to whoever may look at the outbox in this admin site, or in the default one outside of any."""
    if not may_view(context.request):
        return {}
    try:
        url = admin_pages(getattr(context.request, "current_app", "admin"))
        shown = {**strip_context(url), **try_now_context(context.request, url)}
    except NoReverseMatch:  # that site does not show the outbox
        return {}
    return {**shown, "csp_nonce": _nonce_of(context)}


@register.simple_tag(takes_context=True)
def nonce(context: template.Context) -> str:
    """Return the attribute by which a strict policy knows a script or style sheet as the page's own; often nothing."""
    value = _nonce_of(context)
    return format_html(' nonce="{}"', value) if value else ""


register.filter(written.number)
register.filter(in_their_words)


@register.filter
def long_moment(value: datetime | str) -> str:
    """Return date, time and zone; nothing for what a mail's context lacks, as Django's own filter `date` does."""
    return written.long_moment(value) if isinstance(value, datetime) else ""


@register.filter
def moment(value: datetime) -> str:
    """Return date, time and zone as an element that programs can read as well."""
    return _time(value, written.moment)


@register.filter
def distance(value: datetime) -> str:
    """Return how long ago it was, or is until then; the exact time is in the title."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        timezone.localtime(value).isoformat(),
        written.moment(value),
        written.distance(value, clock.now()),
    )


@register.filter
def moment_this_year(value: datetime) -> str:
    return _time(value, written.moment_this_year)


@register.filter
def time_of_day(value: datetime) -> str:
    return _time(value, written.time_of_day)


def _time(value: datetime, write: Callable[[datetime], str]) -> str:
    return format_html('<time datetime="{}">{}</time>', timezone.localtime(value).isoformat(), write(value))


@register.filter
def listed(values: Iterable[Any]) -> str:
    """Return the values as a list within a sentence; each keeps the direction of its letters."""
    return format_html_join(written.separator(), "<bdi>{}</bdi>", ((value,) for value in values))


@register.filter
def isolated(value: Any) -> str:
    """Return the value as an element of a sentence that keeps the direction of its letters."""
    return format_html("<bdi>{}</bdi>", value)


def _nonce_of(context: template.Context) -> str:
    """Return what Django's context processor for it, or django-csp's, has put there; nothing without them."""
    value = context.get("csp_nonce", context.get("CSP_NONCE"))
    return "" if value is None else str(value)  # lazy, and false until it is asked for
