"""Lead from a message to the ones before and after it in the list that the person came from."""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, QueryDict

from flasky.mail.models import OutboxMessage
from flasky.mail.web.about import Objects
from flasky.mail.web.links import Url
from flasky.mail.web.search import NEWEST_FIRST, Listing


def neighbours_context(request: HttpRequest, message: OutboxMessage, url: Url, objects: Objects) -> dict[str, Any]:
    """Return the URLs of the next newer and older message, and of the list."""
    query = request.GET.get("list", "")
    newer, older = neighbours(Listing(QueryDict(query), objects), message)
    kept = request.GET.copy()
    kept.pop("refresh", None)
    suffix = f"?{kept.urlencode()}" if kept else ""
    return {
        "newer": url("message", newer) + suffix if newer else "",
        "older": url("message", older) + suffix if older else "",
        "back": f"{url('list')}?{query}" if query else "",
    }


def neighbours(listing: Listing, message: OutboxMessage) -> tuple[int | None, int | None]:
    """Return the keys of the next newer and the next older message; None at the list's ends."""
    if listing.found is not None:
        return _in_keys(listing.found, message.pk)
    at, key = message.created_at, message.pk
    messages = listing.matching().values_list("pk", flat=True)
    # What is of the same moment is left out by its key: an OR would let no index be read in its order.
    newer = messages.filter(created_at__gte=at).exclude(Q(created_at=at) & Q(pk__lte=key))
    older = messages.filter(created_at__lte=at).exclude(Q(created_at=at) & Q(pk__gte=key))
    return newer.order_by("created_at", "pk")[:1].first(), older.order_by(*NEWEST_FIRST)[:1].first()


def _in_keys(keys: list[int], key: int) -> tuple[int | None, int | None]:
    if key not in keys:
        return None, None
    place = keys.index(key)
    return keys[place - 1] if place else None, keys[place + 1] if place + 1 < len(keys) else None
