"""Count what ended in each hour and on each day, and list what waits."""

from collections import Counter
from datetime import date, datetime, time, timedelta

from django.db.models import Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import pgettext

from flasky.mail.models import HourlyCount, OutboxMessage, State
from flasky.mail.status import written
from flasky.mail.status.overview import DAYS, HOURS

MOST_WAITING = 10_000  # messages in the chart of what waits

Ended = tuple[str, str, int, int]  # label, full label, sent, failed


def ended_per_hour(now: datetime) -> list[Ended]:
    """Return what was sent and failed in each of the last 24 hours, the oldest first."""
    hours = last_hours(now)
    ended = _ended_since(hours[0])
    return [(*_labels(hour), *ended.get(hour, (0, 0))) for hour in hours]


def last_hours(now: datetime) -> list[datetime]:
    """Return when each of the last 24 hours began, the oldest first.

    By the clock of the hourly counts: local hours are skipped and repeated twice a year, and may begin at half past.
    """
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    return [this_hour - timedelta(hours=hours) for hours in range(HOURS - 1, -1, -1)]


def last_days(now: datetime) -> list[date]:
    """Return the last 30 days of the current time zone, the oldest first."""
    today = timezone.localtime(now).date()
    return [today - timedelta(days=days) for days in range(DAYS - 1, -1, -1)]


def _labels(hour: datetime) -> tuple[str, str]:
    local = timezone.localtime(hour)
    short, full = pgettext("date format", "H:i"), pgettext("date format", "j M Y, H:i")
    return date_format(local, short), date_format(local, full)


def ended_per_day(now: datetime) -> list[Ended]:
    """Return what was sent and failed on each of the last 30 days of the current time zone, the oldest first."""
    days = last_days(now)
    sent, failed = Counter[date](), Counter[date]()
    for hour, ended in _ended_since(timezone.make_aware(datetime.combine(days[0], time.min))).items():
        day = timezone.localtime(hour).date()
        sent[day] += ended[0]
        failed[day] += ended[1]
    short = pgettext("date format", "j M")
    return [(date_format(day, short), written.day(day), sent[day], failed[day]) for day in days]


def _ended_since(moment: datetime) -> dict[datetime, tuple[int, int]]:
    """Return how many were sent and failed in each hour in which any were."""
    hours = HourlyCount.objects.filter(hour__gte=moment).values_list("hour")
    return {hour: (sent, failed) for hour, sent, failed in hours.annotate(Sum("sent"), Sum("failed"))}


def waiting() -> list[tuple[list[str], datetime]]:
    """Return the recipients of what waits and since when, the first MOST_WAITING to be due at most, for charts.heat."""
    queued = OutboxMessage.objects.filter(state=State.QUEUED).order_by("next_attempt_at")
    return list(queued.values_list("recipients", "queued_at")[:MOST_WAITING])
