"""Prepare the list of messages and its charts, the same in the admin and in the development mailbox."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from flasky.mail.models import State
from flasky.mail.status.overview import overview
from flasky.mail.status.series import MOST_WAITING, ended_per_day, ended_per_hour, last_days, last_hours, waiting
from flasky.mail.status.waits import MOST_OF_AN_HOUR, waited, waited_per_hour
from flasky.mail.status.written import number
from flasky.mail.web.about import Objects
from flasky.mail.web.actions import Operation
from flasky.mail.web.charts import bars, heat
from flasky.mail.web.date_range import AGES, narrower, wider
from flasky.mail.web.facets import kinds_and_sources
from flasky.mail.web.failures import MOST_SHOWN, failure_groups
from flasky.mail.web.links import Url
from flasky.mail.web.permissions import may_act
from flasky.mail.web.refresh import refresh_seconds
from flasky.mail.web.rows import rows
from flasky.mail.web.search import PER_PAGE, Listing, limited, tabs
from flasky.mail.web.wait_chart import wait_chart

AGE_LABELS = {
    "1h": gettext_lazy("the last hour"),
    "24h": gettext_lazy("the last 24 hours"),
    "7d": gettext_lazy("the last 7 days"),
    "30d": gettext_lazy("the last 30 days"),
}


def list_context(
    request: HttpRequest, url: Url, site: AdminSite, operations: Sequence[Operation] = ()
) -> dict[str, Any]:
    objects = Objects(request, site)
    listing = Listing(request.GET, objects)
    offered = [each for each in operations if listing.tab.state is None or listing.tab.state in each.eligible.states]
    refresh = "&refresh=1" if refresh_seconds(request) else ""
    first = (listing.number - 1) * PER_PAGE + 1
    return {
        **shared_context(request, url),
        "listing": listing,
        "tabs": [tab | {"url": f"?{tab['query']}{refresh}"} for tab in tabs(listing)],
        "rows": rows(listing, objects, urls_of(listing, url), offered),
        "actions": offered,
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
        "choices": choices(listing, refresh),
        "cause_name": objects.names([listing.cause]).get(listing.cause, listing.cause) if listing.cause else "",
        **failures_context(listing, refresh),
    }


def urls_of(listing: Listing, url: Url) -> dict[int, str]:
    """Return the URL of each message on the page, by its key; it leads back to this list."""
    query = f"?{urlencode({'list': listing.query()})}" if listing.query() else ""
    return {message.pk: url("message", message.pk) + query for message in listing.page}


def failures_context(listing: Listing, refresh: str) -> dict[str, Any]:
    """Return the groups of failures where they say more than the rows: above all that has failed."""
    if listing.tab.state != State.FAILED:
        return {}
    groups = failure_groups()
    shown = [(group, f"?{listing.query(why=group.name, q='')}{refresh}") for group in groups]
    if listing.why:
        return {"group": next((group for group in groups if group.name == listing.why), None)}
    return {"groups": shown[:MOST_SHOWN], "further_groups": shown[MOST_SHOWN:]}


def shared_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    """Return what the list and the charts have in common."""
    return {**strip_context(url), "charts_url": url("charts"), "refresh": refresh_seconds(request)}


def strip_context(url: Url) -> dict[str, Any]:
    """Return what the strip shows, and the URLs that it leads to."""
    list_url, seen = url("list"), overview()
    return {"overview": seen, "list_url": list_url, "oldest_url": url("message", seen.oldest.pk) if seen.oldest else ""}


def try_now_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    """Return where the strip's button leads that lets all be tried now; nothing for who may only look."""
    return {"try_now_url": f"{url('act')}?tab=queued", "next": request.get_full_path()} if may_act(request) else {}


def further_back(listing: Listing, refresh: str = "") -> str:
    """Return the URL of the window before this one; nothing if this one reaches back to the first message."""
    if listing.window_start is None:
        return ""
    return f"?{listing.query(before=listing.window_start.isoformat())}{refresh}"


def choices(listing: Listing, refresh: str = "") -> list[dict[str, Any]]:
    """Return the filters that offer a choice: name in the query string, label, and each choice."""
    period = listing.period.text
    ages = [(age, str(AGE_LABELS[age]), "") for age in AGES]
    if period and period not in AGES:
        ages.append((period, wider(listing.period)[-1][1], ""))
    kinds, sources = kinds_and_sources(listing)
    found = [
        {"name": "time", "label": _("Stored in"), "all": _("all the time"), "chosen": period, "values": ages},
        {"name": "kind", "label": _("Kind"), "all": _("all kinds"), "chosen": listing.kind, "values": kinds},
        {"name": "source", "label": _("Source"), "all": _("all sources"), "chosen": listing.source, "values": sources},
    ]
    return [each | {"without": f"?{listing.query(**{str(each['name']): ''})}{refresh}"} for each in found]


def charts_context(request: HttpRequest, url: Url) -> dict[str, Any]:
    context = shared_context(request, url)
    now, queued = context["overview"].now, waiting()
    ended, times = ended_per_hour(now), [f"{timezone.localtime(hour):%Y-%m-%dT%H}" for hour in last_hours(now)]
    named_hours = [(label, full_label, time) for (label, full_label, *_ended), time in zip(ended, times, strict=True)]
    return {
        **context,
        "per_hour": bars(ended, times),
        "per_day": bars(ended_per_day(now), [f"{day:%Y-%m-%d}" for day in last_days(now)]),
        "waited": _waited(),
        "waits": wait_chart(named_hours, waited_per_hour(last_hours(now))),
        "most_of_an_hour": MOST_OF_AN_HOUR,
        "waiting": heat(queued, now),
        "waiting_title": _waiting_title(len(queued)),
        "time_zone": settings.TIME_ZONE,
    }


def _waited() -> str:
    """Return how long the newest messages took until they were accepted; nothing if none was."""
    found = waited()
    if found is None:
        return ""
    return ngettext(
        "From stored (or due) to accepted: %(median)s s in the middle, %(p95)s s for the slowest of 20; of the newest "
        "%(number)s message.",
        "From stored (or due) to accepted: half within %(median)s s, 95%% within %(p95)s s; of the newest %(number)s "
        "messages.",
        found.messages,
    ) % {"median": number(found.median, 1), "p95": number(found.p95, 1), "number": number(found.messages)}


def _waiting_title(count: int) -> str:
    if count == MOST_WAITING:
        return _("What waits: the first %(number)s due") % {"number": number(count)}
    return _("What waits")
