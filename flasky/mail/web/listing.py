"""Prepare the list of messages and its charts, the same in the admin and in the development mailbox."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.status.overview import overview
from flasky.mail.status.series import MOST_WAITING, ended_per_day, ended_per_hour, waiting
from flasky.mail.status.written import number
from flasky.mail.web.charts import bars, heat
from flasky.mail.web.date_range import AGES, narrower, wider
from flasky.mail.web.links import Url
from flasky.mail.web.refresh import refresh_seconds
from flasky.mail.web.search import PER_PAGE, Listing, limited, newest_kinds_and_sources, tabs
from flasky.mail.web.timeline import label_of

AGE_LABELS = {
    "1h": gettext_lazy("the last hour"),
    "24h": gettext_lazy("the last 24 hours"),
    "7d": gettext_lazy("the last 7 days"),
    "30d": gettext_lazy("the last 30 days"),
}


def list_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    listing = Listing(request.GET)
    refresh = "&refresh=1" if refresh_seconds(request) else ""
    first = (listing.number - 1) * PER_PAGE + 1
    priorities = listing.priorities()
    return {
        **shared_context(request, url),
        "listing": listing,
        "tabs": [tab | {"url": f"?{tab['query']}{refresh}"} for tab in tabs(listing)],
        "rows": [(message, url("message", message.pk), priorities.get(message.pk, "")) for message in listing.page],
        "first": first,
        "last": first + len(listing.page) - 1,
        "matching_label": limited(listing.count),
        "newer": f"?{listing.query(p=listing.number - 1)}{refresh}" if listing.number > 1 else "",
        "older": f"?{listing.query(p=listing.number + 1)}{refresh}" if listing.number < listing.last_page else "",
        "further_back": further_back(listing, refresh),
        "all_of_tab": f"?tab={listing.tab.name}{refresh}",
        "wider": [(f"?{listing.query(time=text)}{refresh}", label) for text, label in wider(listing.period)],
        "narrower": [(f"?{listing.query(time=text)}{refresh}", label) for text, label in narrower(listing.period)],
        "all_times": f"?{listing.query(time='')}{refresh}",
        "choices": choices(listing),
    }


def shared_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    """Return what the list and the charts have in common."""
    return {**strip_context(url), "charts_url": url("charts"), "refresh": refresh_seconds(request)}


def strip_context(url: Url) -> dict[str, Any]:
    """Return what the strip shows, and the URLs that it leads to."""
    list_url, seen = url("list"), overview()
    return {"overview": seen, "list_url": list_url, "oldest_url": url("message", seen.oldest.pk) if seen.oldest else ""}


def further_back(listing: Listing, refresh: str) -> str:
    """Return the URL of the window before this one; nothing if this one reaches back to the first message."""
    if listing.window_start is None:
        return ""
    return f"?{listing.query(before=listing.window_start.isoformat())}{refresh}"


def choices(listing: Listing) -> list[dict[str, Any]]:
    """Return the filters that offer a choice: name in the query string, label, and (value, label) of each choice."""
    period = listing.period.text
    ages = [(age, str(AGE_LABELS[age])) for age in AGES]
    if period and period not in AGES:
        ages.append((period, wider(listing.period)[-1][1]))
    kinds, sources = newest_kinds_and_sources()
    return [
        {"name": "time", "label": _("Stored in"), "all": _("all the time"), "chosen": period, "values": ages},
        {
            "name": "kind",
            "label": _("Kind"),
            "all": _("all kinds"),
            "chosen": listing.kind,
            "values": [(name, name) for name in sorted(kinds | ({listing.kind} - {""}))],
        },
        {
            "name": "source",
            "label": _("Came from"),
            "all": _("all sources"),
            "chosen": listing.source,
            "values": [(source, label_of(source)) for source in sorted(sources | ({listing.source} - {""}))],
        },
    ]


def charts_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    context = shared_context(request, url)
    now, queued = context["overview"].now, waiting()
    return {
        **context,
        "per_hour": bars(ended_per_hour(now)),
        "per_day": bars(ended_per_day(now)),
        "waiting": heat(queued, now),
        "waiting_title": _waiting_title(len(queued)),
        "time_zone": settings.TIME_ZONE,
    }


def _waiting_title(count: int) -> str:
    if count == MOST_WAITING:
        return _("What waits: the first %(number)s due") % {"number": number(count)}
    return _("What waits")
