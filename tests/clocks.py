"""Let the database's clock jump, as far as its rows can tell: what is written in it moves the other way."""

from datetime import timedelta

from django.apps import apps
from django.db import connection
from django.db.models import DateTimeField, F

from flasky.mail.models import HourlyCount
from flasky.mail.models.hourly import ASIDE
from flasky.mail.runtime import clock


def jump(**how_far):
    """Set the clock forward, or back; this process notices when it asks for the time."""
    span = timedelta(**how_far)
    for model in apps.get_app_config("flasky_mail").get_models():
        fields = [field.name for field in model._meta.get_fields() if isinstance(field, DateTimeField)]
        if fields:
            newest_first = model._default_manager.order_by("-pk" if span > timedelta(0) else "pk")
            for key in newest_first.values_list("pk", flat=True):  # hours are unique
                times = {name: F(name) - span for name in fields}
                model._default_manager.filter(pk=key).update(**times)
    if clock._last:
        clock._last = clock._last._replace(database=clock._last.database - span.total_seconds())


def somebody_was_there_for(days):
    """Note what whoever delivers notes each hour: only such time counts when a mail is given up."""
    this_hour = clock.now().replace(minute=0, second=0, microsecond=0)
    hours = (this_hour - timedelta(hours=number) for number in range(24 * days + 1))
    HourlyCount.objects.bulk_create([HourlyCount(hour=hour, slot=ASIDE) for hour in hours], ignore_conflicts=True)


CLOCKS = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0 + {}",
    "postgresql": "SELECT EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) + {}",
    "mysql": "SELECT UTC_TIMESTAMP(6) + INTERVAL {} SECOND",
}


def set_clock(monkeypatch, seconds):
    """Let the database have a clock of its own, so many seconds ahead of this host's."""
    monkeypatch.setitem(clock.STATEMENTS, connection.vendor, CLOCKS[connection.vendor].format(seconds))
