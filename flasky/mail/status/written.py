"""Write numbers, moments and lists as the reader's language does."""

from collections.abc import Iterable
from datetime import date, datetime

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import pgettext


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


def listed(parts: Iterable[str]) -> str:
    return separator().join(map(str, parts))


def separator() -> str:
    return pgettext("between the parts of a list", ", ")


def joined(*sentences: str | Promise) -> str:
    """Return those of the sentences that say something, one after the other."""
    return " ".join(str(sentence) for sentence in sentences if sentence)
