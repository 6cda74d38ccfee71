"""Offer the kinds and the sources to choose from, each with how many messages of the tab and the time have it."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from flasky.mail.models import OutboxMessage
from flasky.mail.status.written import number
from flasky.mail.web.search import NEWEST_FIRST, SPAN, Listing
from flasky.mail.web.timeline import label_of

COUNTED = 1_000  # newest messages of the tab and the time; SQLite reads past their contents


class Offer(NamedTuple):
    value: str
    label: str
    messages: str  # how many, in words


def kinds_and_sources(listing: Listing) -> tuple[list[Offer], list[Offer]]:
    """Return those of the newest SPAN messages, which are those that one window can find."""
    newest = OutboxMessage.objects.order_by(*NEWEST_FIRST).values_list("kind", "source")[:SPAN]
    counted = listing.in_tab_and_time().order_by(*NEWEST_FIRST).values_list("kind", "source")[:COUNTED]
    found = list(counted)
    known = {*newest, *found, (listing.kind, listing.source)}
    return (
        _offers({kind for kind, _ in known}, [kind for kind, _ in found], str),
        _offers({source for _, source in known}, [source for _, source in found], label_of),
    )


def _offers(names: set[str], found: list[str], label: Callable[[str], str]) -> list[Offer]:
    counts, more = Counter(found), "+" if len(found) == COUNTED else ""
    return [Offer(name, label(name), f"{number(counts[name])}{more}") for name in sorted(names - {""})]
