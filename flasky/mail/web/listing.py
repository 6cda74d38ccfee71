"""The list of messages and its pictures, the same in the admin and in the development mailbox."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from flasky.mail.models import Door
from flasky.mail.previews.kinds import kinds
from flasky.mail.status.overview import vitals
from flasky.mail.status.series import MOST_WAITING, ended_per_day, ended_per_hour, waiting
from flasky.mail.web.charts import bars, heat
from flasky.mail.web.date_range import AGES, narrower, wider
from flasky.mail.web.message import Url
from flasky.mail.web.refresh import live_seconds
from flasky.mail.web.search import PER_PAGE, Listing, limited, tabs

AGE_LABELS = {"1h": "the last hour", "24h": "the last 24 hours", "7d": "the last 7 days", "30d": "the last 30 days"}


def list_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    listing = Listing(request.GET)
    live = "&live=1" if live_seconds(request) else ""
    first = (listing.number - 1) * PER_PAGE + 1
    priorities = listing.priorities()
    return {
        **shared_context(request, url),
        "listing": listing,
        "tabs": [tab | {"address": f"?{tab['address']}{live}"} for tab in tabs(listing)],
        "rows": [(message, url("message", message.pk), priorities.get(message.pk, "")) for message in listing.page],
        "first": first,
        "last": first + len(listing.page) - 1,
        "matching_label": limited(listing.count),
        "newer": f"?{listing.address(p=listing.number - 1)}{live}" if listing.number > 1 else "",
        "older": f"?{listing.address(p=listing.number + 1)}{live}" if listing.number < listing.last_page else "",
        "further_back": further_back(listing, live),
        "all_of_tab": f"?tab={listing.tab.name}{live}",
        "wider": [(f"?{listing.address(time=text)}{live}", label) for text, label in wider(listing.period)],
        "narrower": [(f"?{listing.address(time=text)}{live}", label) for text, label in narrower(listing.period)],
        "all_times": f"?{listing.address(time='')}{live}",
        "choices": choices(listing),
    }


def shared_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    """Return what the list and the pictures have in common."""
    return {
        "vitals": vitals(),
        "list_url": url("list"),
        "charts_url": url("charts"),
        "live": live_seconds(request),
    }


def further_back(listing: Listing, live: str) -> str:
    """Return the address of the window before this one; nothing if this one reaches back to the first message."""
    if listing.window_start is None:
        return ""
    return f"?{listing.address(before=listing.window_start.isoformat())}{live}"


def choices(listing: Listing) -> list[dict[str, Any]]:
    """Return the filters that offer a choice: name in the address, label, and (value, label) of each choice."""
    period = listing.period.text
    ages = [(age, AGE_LABELS[age]) for age in AGES]
    if period and period not in AGES:
        ages.append((period, wider(listing.period)[-1][1]))
    events = sorted({*kinds(), listing.event} - {""})
    return [
        {"name": "time", "label": "Stored in", "all": "all the time", "chosen": period, "values": ages},
        {
            "name": "event",
            "label": "Event",
            "all": "all events",
            "chosen": listing.event,
            "values": [(event, event) for event in events],
        },
        {"name": "door", "label": "Came through", "all": "all doors", "chosen": listing.door, "values": Door.choices},
    ]


def charts_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    context = shared_context(request, url)
    now, queued = context["vitals"].now, waiting()
    return {
        **context,
        "per_hour": bars(ended_per_hour(now)),
        "per_day": bars(ended_per_day(now)),
        "waiting": heat(queued, now),
        "waiting_title": f"What waits: the first {MOST_WAITING:,} due" if len(queued) == MOST_WAITING else "What waits",
        "time_zone": settings.TIME_ZONE,
    }
