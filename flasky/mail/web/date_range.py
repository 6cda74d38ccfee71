"""Parse a stretch of time of a query string, and lead from a year to an hour and back."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import timezone as zones

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

from flasky.mail.models import OutboxMessage

AGES = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
YEARS = range(1000, 3000)  # every database and every time zone can tell these


def parse_moment(text: str) -> datetime | None:
    """Return the time that is written in ISO 8601 with its zone; None for anything else."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if timezone.is_aware(moment) and moment.year in YEARS:
            return moment.astimezone(zones.utc)
    return None


@dataclass(frozen=True)
class Step:
    """A kind of period; each lies in one of the kind before it."""

    written: str  # for the query string, so the same in every language
    label: str | Promise  # the format of what a person reads
    longest: timedelta

    def start(self, moment: datetime) -> datetime:
        """Return when the period begins that this moment is in."""
        return datetime.strptime(f"{moment:{self.written}}", self.written)

    def next(self, start: datetime) -> datetime:
        return self.start(start + self.longest)

    def named(self, start: datetime) -> tuple[str, str]:
        return f"{start:{self.written}}", date_format(start, str(self.label))


STEPS = (
    Step("%Y", pgettext_lazy("date format", "Y"), timedelta(days=366)),
    Step("%Y-%m", pgettext_lazy("date format", "M Y"), timedelta(days=31)),
    Step("%Y-%m-%d", pgettext_lazy("date format", "d M"), timedelta(days=1)),
    Step("%Y-%m-%dT%H", pgettext_lazy("date format", "H:00"), timedelta(hours=1)),
)


@dataclass(frozen=True)
class Period:
    """A stretch of time: `2026`, `2026-11`, `2026-11-03`, `2026-11-03T14`, or the last `1h`, `24h`, `7d`, `30d`."""

    text: str = ""
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def parse(cls, text: str, now: datetime) -> "Period":
        if text in AGES:
            return cls(text, now - AGES[text])
        if steps := _steps(text):
            step, start = steps[-1]
            return cls(text, timezone.make_aware(start), timezone.make_aware(step.next(start)))
        return cls()


def _steps(text: str) -> list[tuple[Step, datetime]]:
    """Return the steps from the year to the period that is written, with their starts on the clock of the time zone."""
    for depth, step in enumerate(STEPS, start=1):
        with suppress(ValueError):
            start = datetime.strptime(text, step.written)
            if start.year in YEARS and text == step.named(start)[0]:  # not 2026-1
                return [(around, around.start(start)) for around in STEPS[:depth]]
    return []


def wider(period: Period) -> list[tuple[str, str]]:
    """Return the periods around this one and itself, the widest first, as (text, label)."""
    return [step.named(start) for step, start in _steps(period.text)]


def narrower(period: Period) -> list[tuple[str, str]]:
    """Return the next smaller periods with mail in them, as (text, label), and none below an hour.

    Only the first and the last message's times are looked up: which days between them have none is not known.
    """
    depth = len(_steps(period.text))
    if period.text in AGES or depth == len(STEPS):
        return []
    stored = OutboxMessage.objects.values_list("created_at", flat=True)
    if period.start and period.end:
        stored = stored.filter(created_at__gte=period.start, created_at__lt=period.end)
    first, last = stored.order_by("created_at").first(), stored.order_by("-created_at").first()
    if first is None or last is None:
        return []
    return _first_that_differ(STEPS[depth:], timezone.make_naive(first), timezone.make_naive(last))


def _first_that_differ(steps: tuple[Step, ...], first: datetime, last: datetime) -> list[tuple[str, str]]:
    """Return the periods of the first step at which these two are not in the same one, or else of the last step."""
    step = next((step for step in steps if step.start(first) != step.start(last)), steps[-1])
    start, found = step.start(first), []
    while start <= last:
        found.append(step.named(start))
        start = step.next(start)
    return found
