"""Find the messages of a list by its query string: its tab, its filters, its search and its pages.

Every look stays quick with a million messages. What an index finds is looked up in all of them; for the rest (words,
kind, source) a window of the newest SPAN messages is read, for an address the newest TO_ADDRESS messages to it, and a
link leads to the window before. No count goes beyond MOST_COUNTED.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q

from flasky.mail.models import OutboxMessage, OutboxMessageQuerySet, ProviderStatus
from flasky.mail.runtime import clock
from flasky.mail.status.written import number
from flasky.mail.web.date_range import Period, parse_moment
from flasky.mail.web.failures import keys_of
from flasky.mail.web.operators import chosen, matches, only_recipient, terms
from flasky.mail.web.tabs import TABS
from flasky.mail.wire.compose import envelope_address

PER_PAGE = 50
MOST_COUNTED = 10_000
SPAN = 10_000  # messages in a window; not more than MOST_COUNTED, or those beyond would be on no page
MOST_ABOUT = 1_000  # messages that are found by the names of what they are about
LONGEST_KIND = 100  # characters
TO_ADDRESS = 5_000  # messages in a window of an address; their keys go to the database once more

# On SQLite whatever was added to the table behind the content is found only by reading the content.
FOR_LISTS = (
    "state",
    "created_at",
    "next_attempt_at",
    "attempt_count",
    "last_reply",
    "possible_duplicate",
    "subject",
    "recipients",
)
NEWEST_FIRST = ("-created_at", "-pk")

NUMBER = re.compile(r"#?(\d{1,18})")
MESSAGE_ID = re.compile(r"<[^<>\s]+>")
PROVIDER_ID = re.compile(r"(?=.*\d)[\w.:=+-]{8,255}|" + MESSAGE_ID.pattern)  # a word that no text has by chance
REQUEST = re.compile(r"request:([\w.-]+)", re.ASCII)
ADDRESS = re.compile(r"[^<>@\s]+@[^<>@\s]+\.[^<>@\s]+")
NEVER_STORED = re.compile("[\0\ud800-\udfff]")  # the databases refuse to look for these


class Names(Protocol):
    """Knows the objects that messages are about, by their names."""

    def named(self, words: str) -> list[str]: ...  # causes


class Listing:
    """A list of messages, as its query string describes it; what makes no sense there is ignored."""

    def __init__(self, query: Mapping[str, str], names: Names | None = None) -> None:
        self.names = names
        self.now = clock.now()
        choices, self.words = chosen(query, _text(query, "q")[:200].strip())
        self.tab = next((tab for tab in TABS if tab.name == choices["tab"]), TABS[0])
        self.kind = _text(choices, "kind")
        self.source = _text(choices, "source")
        self.cause = _text(query, "cause")
        self.why = _text(query, "why")  # a group of failures
        self.period = Period.parse(query.get("time", ""), self.now)
        self.before = parse_moment(query.get("before", ""))
        self._asked_number = _page_number(query.get("p", ""))

    @cached_property
    def page(self) -> list[OutboxMessage]:
        first = (self.number - 1) * PER_PAGE
        rows = slice(first, first + PER_PAGE)
        messages = self.matching() if self.found is None else OutboxMessage.objects.filter(pk__in=self.found[rows])
        ordered = messages.order_by(*NEWEST_FIRST).only(*FOR_LISTS)
        return list(ordered[rows] if self.found is None else ordered)

    @cached_property
    def number(self) -> int:
        return min(self._asked_number, self.last_page)

    @property
    def last_page(self) -> int:
        return max(1, -(-self.count // PER_PAGE))

    @cached_property
    def count(self) -> int:
        """Return how many match, or MOST_COUNTED if there are that many."""
        return counted(self.matching()) if self.found is None else len(self.found)

    @cached_property
    def found(self) -> list[int] | None:
        """Return the keys of what matches in this window, which is read once; None if there are no windows."""
        if not self._has_windows:
            return None
        if self._to_address is not None and not (self.tab.name or self.kind or self.source or self.cause):
            return [key for _, key in self._to_address]
        in_window = self._in_window().order_by(*NEWEST_FIRST).values_list("created_at", "pk")[:SPAN]
        found = sorted({*in_window, *self._about}, reverse=True) if self._about else in_window
        return [key for _, key in found][:SPAN]

    def matching(self) -> OutboxMessageQuerySet:
        """Return all that match, in no order; where the list has windows, what is in this one."""
        if self._about:  # beyond the window too; one query for both would read the whole table
            return OutboxMessage.objects.filter(pk__in=self.found or [])
        return self._in_window()

    def _in_window(self) -> OutboxMessageQuerySet:
        chosen = self._indexed().filter(self._not_indexed())
        return chosen.filter(created_at__gte=self.window_start) if self.window_start else chosen

    @cached_property
    def window_start(self) -> datetime | None:
        """Return the time of the last message that this look reads; None if it reads to the end."""
        if self._to_address is not None:
            return self._to_address[-1][0] if len(self._to_address) == TO_ADDRESS else None
        times = self._indexed().order_by("-created_at").values_list("created_at", flat=True)
        return times[SPAN - 1 : SPAN].first() if self._has_windows else None

    @cached_property
    def _about(self) -> set[tuple[datetime, int]]:
        """Return the times and keys of the newest messages about objects with such a name, if the words are only words.

        In the order of the index, which stops early; in that of the time, SQLite might read all messages.
        """
        if self.names is None or not self.words or not self._has_windows or self._named is not None:
            return set()
        if any(term.operator for term in terms(self.words)):
            return set()
        about = OutboxMessage.objects.filter(self._in_time(), cause__in=self.names.named(self.words))
        keys = about.order_by("-cause", "-created_at").values_list("pk", flat=True)[:MOST_ABOUT]
        chosen = self._indexed().filter(self._chosen(), pk__in=list(keys))
        return set(chosen.order_by().values_list("created_at", "pk")[:MOST_ABOUT])

    def query(self, **changes: Any) -> str:
        """Return the query string of this list with these changes; the page is the first again."""
        query = {
            "tab": self.tab.name,
            "q": self.words,
            "kind": self.kind,
            "source": self.source,
            "cause": self.cause,
            "why": self.why,
            "time": self.period.text,
            "before": self.before.isoformat() if self.before else "",
        } | changes
        return urlencode({name: value for name, value in query.items() if value})

    @property
    def is_narrowed(self) -> bool:
        return bool(self.words or self.why or self.cause or self.before or self.folded)

    @property
    def folded(self) -> int:
        """Return how many of the filters are set that the page folds away."""
        return sum(map(bool, (self.kind, self.source, self.period.text)))

    @property
    def _has_windows(self) -> bool:
        if self._to_address is not None:
            return True
        return bool(self.words or self.kind or self.source) and not self.cause and self._named is None

    def _indexed(self) -> OutboxMessageQuerySet:
        """Return the messages that match the filters with an index: tab, period, cause, what the words name."""
        chosen = OutboxMessage.objects.filter(self._in_time())
        if self.cause and self.tab.name:
            # Each is looked at once more: otherwise SQLite may read the whole tab instead of what the cause has.
            in_tab = self.tab.choose(OutboxMessage.objects.filter(pk=OuterRef("pk")))
            chosen = chosen.filter(Exists(in_tab), cause=self.cause)
        elif self.cause:
            chosen = chosen.filter(cause=self.cause)
        else:
            chosen = self.in_tab_and_time()
        return chosen if self._named is None else chosen.filter(self._named)

    def in_tab_and_time(self) -> OutboxMessageQuerySet:
        """Return what its filters choose from."""
        return self.tab.choose(OutboxMessage.objects.filter(self._in_time()))

    def _in_time(self) -> Q:
        condition = Q()
        if self.period.start:
            condition &= Q(created_at__gte=self.period.start)
        if self.period.end:
            condition &= Q(created_at__lt=self.period.end)
        if self.before:
            condition &= Q(created_at__lt=self.before)
        return condition

    @cached_property
    def _named(self) -> Q | None:
        """Return the condition for the messages that the words name; None if they are only words."""
        if self.why:
            return Q(pk__in=keys_of(self.why))
        if number := NUMBER.fullmatch(self.words):
            return Q(pk=int(number[1]))
        # The keys first: with a tab SQLite would read the whole tab instead.
        keys: set[int] = set()
        if PROVIDER_ID.fullmatch(self.words):
            named = ProviderStatus.objects.filter(provider_id=self.words).order_by()
            keys = set(named.values_list("message_id", flat=True)[:SPAN])
        if MESSAGE_ID.fullmatch(self.words):
            stored = OutboxMessage.objects.filter(message_id=self.words)
            return Q(pk__in=[*keys, *stored.values_list("pk", flat=True)[:SPAN]])
        if keys:
            return Q(pk__in=list(keys))
        return None if self._to_address is None else Q(pk__in=[key for _, key in self._to_address])

    @cached_property
    def _to_address(self) -> list[tuple[datetime, int]] | None:
        """Return the times and keys of the newest messages to the address that the words are; None if they are none.

        A Message-ID without its brackets looks the same.
        """
        address = only_recipient(self.words)
        if not ADDRESS.fullmatch(address):
            return None
        newest = OutboxMessage.objects.newest_to(_as_stored(address), TO_ADDRESS, self._in_time())
        named = OutboxMessage.objects.filter(self._in_time(), message_id=f"<{self.words}>").order_by("-created_at")
        newest.update(named.values_list("created_at", "pk")[:TO_ADDRESS])
        return sorted(newest, reverse=True)[:TO_ADDRESS]

    def _not_indexed(self) -> Q:
        condition = self._chosen()
        if request := REQUEST.fullmatch(self.words):
            condition &= Q(request_id=request[1])
        elif self._named is None:
            for term in terms(self.words):
                condition &= matches(term)
        return condition

    def _chosen(self) -> Q:
        condition = Q()
        if self.kind:
            condition &= Q(kind=self.kind) | Q(kind__endswith=f"/{self.kind[:LONGEST_KIND]}")
        if self.source:
            condition &= Q(source=self.source)
        return condition


def tabs(listing: Listing) -> list[dict[str, Any]]:
    """Return each tab with its query string and how many messages it has, whatever the filters are."""
    return [
        {
            "label": tab.label,
            "name": tab.name,
            "is_current": tab is listing.tab,
            "query": listing.query(tab=tab.name, before="", why=""),
            "number": (count := counted(tab.choose(OutboxMessage.objects.all()))),
            "count": limited(count),
        }
        for tab in TABS
    ]


def counted(messages: OutboxMessageQuerySet) -> int:
    return messages.order_by().values("pk")[:MOST_COUNTED].count()


def limited(count: int) -> str:
    return f"{number(count)}+" if count >= MOST_COUNTED else number(count)


def _text(query: Mapping[str, str], name: str) -> str:
    return NEVER_STORED.sub("", query.get(name, ""))


def _page_number(text: str) -> int:
    return int(text) if re.fullmatch(r"[1-9]\d{0,4}", text, re.ASCII) else 1


def _as_stored(address: str) -> str:
    """Return the address in lower case, with its domain as it is on the wire."""
    try:
        return envelope_address(address).lower()
    except ValueError:
        return address.lower()
