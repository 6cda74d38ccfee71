"""Write numbers, moments and lists as the reader's language does."""

from collections.abc import Iterable
from datetime import date, datetime
from unicodedata import combining, east_asian_width

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

DISTANCES = (  # minutes in the unit, how long ago, how long until then
    (24 * 60, gettext_lazy("%(count)s d ago"), gettext_lazy("in %(count)s d")),
    (60, gettext_lazy("%(count)s h ago"), gettext_lazy("in %(count)s h")),
    (1, gettext_lazy("%(count)s min ago"), gettext_lazy("in %(count)s min")),
)
WITH_THEIR_SPACE = ("。", "！", "？")  # half of whose width is the space behind them
LONGEST_DISTANCE = 30 * 24 * 60  # min


def number(value: float, decimals: int = 0) -> str:
    """Return the number with the language's signs between thousands and before decimals."""
    return number_format(value, decimals, use_l10n=True, force_grouping=True)


def moment(value: datetime) -> str:
    """Return date, time and zone, in the current time zone."""
    # Translators: how a date is written: https://docs.djangoproject.com/en/stable/ref/templates/builtins/#date
    return date_format(timezone.localtime(value), pgettext("date format", "j M Y, H:i:s e"))


def long_moment(value: datetime) -> str:
    return date_format(timezone.localtime(value), pgettext("date format", "j F Y, H:i:s e"))


def moment_this_year(value: datetime) -> str:
    return date_format(timezone.localtime(value), pgettext("date format", "j M, H:i:s e"))


def time_of_day(value: datetime) -> str:
    return date_format(timezone.localtime(value), pgettext("date format", "H:i:s e"))


def day(value: date) -> str:
    return date_format(value, pgettext("date format", "j M Y"))


def since(value: datetime, now: datetime) -> str:
    """Return how long ago it was, in the largest unit from minutes on."""
    return timesince(value, now, depth=1).replace("\xa0", " ")


def age(value: datetime, now: datetime) -> str:
    """Return how long ago it was, in the largest unit; nothing is ago less than nothing, whatever the clocks say."""
    seconds = max(0, int((now - value).total_seconds()))
    return _("%(seconds)s s") % {"seconds": seconds} if seconds < 60 else since(value, now)


def distance(value: datetime, now: datetime) -> str:
    """Return how long ago it was, or how long it is until then, as short as a list needs it; from a month on, the day.

    Less than a minute is no number: it would be another one at each look.
    """
    minutes = int((now - value).total_seconds() / 60)
    if abs(minutes) >= LONGEST_DISTANCE:
        return day(timezone.localtime(value).date())
    for unit, ago, until in DISTANCES:
        if abs(minutes) >= unit:
            return str(ago if minutes > 0 else until) % {"count": abs(minutes) // unit}
    return _("just now") if value <= now else _("in a moment")


def in_columns(text: str, columns: int) -> str:
    """Return the text as wide as so many columns of a terminal, on which a Chinese character has two."""
    return text + " " * max(columns - width(text), 0)


def cut(text: str, columns: int) -> str:
    """Return as much of the text as so many columns have room for."""
    while width(text) > columns:
        text = text[:-1]
    return text


def width(text: str) -> int:
    return sum(2 if east_asian_width(each) in "WF" else 0 if combining(each) else 1 for each in text)


def listed(parts: Iterable[str]) -> str:
    return separator().join(map(str, parts))


def separator() -> str:
    return pgettext("between the parts of a list", ", ")


def joined(*sentences: str | Promise) -> str:
    """Return those of the sentences that say something, one after the other."""
    text = ""
    for sentence in map(str, sentences):
        space = " " if text and sentence and not text.endswith(WITH_THEIR_SPACE) else ""
        text = f"{text}{space}{sentence}"
    return text
