"""Decide when a message is given up: after MAIL_GIVE_UP_DAYS days in which somebody delivered.

A time in which nobody did was no time of trying: a machine was off, or a clock has jumped.
"""

from contextlib import suppress
from datetime import datetime, timedelta, timezone

from django.db import Error as DatabaseFailure

from flasky.mail.conf import conf
from flasky.mail.delivery.retries import LONGEST_PAUSE
from flasky.mail.models import HourlyCount, OutboxMessage

NEVER = datetime(2000, 1, 1, tzinfo=timezone.utc)
ABSENCE = timedelta(hours=1, seconds=LONGEST_PAUSE)  # as much of a time without anybody counts: as between two tries


def is_too_old(message: OutboxMessage, now: datetime) -> bool:
    if not is_old(message, now):
        return False
    with suppress(DatabaseFailure):  # it is tried once more
        return message.queued_at <= given_up_before(now)
    return False


def is_old(message: OutboxMessage, now: datetime) -> bool:
    """Tell whether it would be too old if somebody had always been there."""
    return now - message.queued_at >= timedelta(days=conf.MAIL_GIVE_UP_DAYS)


def given_up_before(now: datetime) -> datetime:
    """Return since when MAIL_GIVE_UP_DAYS days have passed with somebody who delivered."""
    left, later = timedelta(days=conf.MAIL_GIVE_UP_DAYS), now
    for hour in HourlyCount.objects.hours_before(now, most=24 * conf.MAIL_GIVE_UP_DAYS + 1):
        passed = min(later - hour, ABSENCE)
        if passed >= left:
            return later - left
        left, later = left - passed, hour
    return NEVER
