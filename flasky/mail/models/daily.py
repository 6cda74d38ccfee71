"""Let one of all processes do what is done once a day."""

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

from flasky.mail.models.one_database import InOneDatabase

A_DAY = timedelta(days=1)


class DailyTaskQuerySet(InOneDatabase["DailyTask"]):
    def take(self, name: str) -> bool:
        """Return whether it is the caller's turn: nobody has begun the task for a day, by the database's clock."""
        tasks = self.filter(name=name)
        # Nobody has begun it tomorrow: then the clock was ahead.
        is_due = models.Q(begun_at__lt=Now() - A_DAY) | models.Q(begun_at__gt=Now() + A_DAY)
        if tasks.filter(is_due).exists():
            return bool(tasks.filter(is_due).update(begun_at=Now()))
        return not tasks.exists() and self.get_or_create(name=name)[1]


class DailyTask(models.Model):
    """Something that is done once a day, and when somebody last began it."""

    name = models.CharField(max_length=50, unique=True)
    begun_at = models.DateTimeField(db_default=Now())

    objects = DailyTaskQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name}, begun at {self.begun_at:%Y-%m-%d %H:%M:%S}"
