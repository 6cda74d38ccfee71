"""Who delivers, and who is not heard of any more."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

SIGNS_MISSED = 4  # looks in a row without a sign of life until a process counts as silent


class DelivererQuerySet(models.QuerySet["Deliverer"]):
    def sign(self, name: str, threads: int) -> None:
        """Note a sign of life, by the database's clock: the hosts' clocks may differ."""
        name = name[:255]
        if not self.filter(name=name).update(threads=threads, seen_at=Now()):
            self.get_or_create(name=name, defaults={"threads": threads})

    def sign_off(self, name: str) -> None:
        """Forget this one, and those who have died long ago without a word."""
        self.filter(models.Q(name=name[:255]) | models.Q(seen_at__lt=Now() - timedelta(days=1))).delete()

    def alive(self) -> "DelivererQuerySet":
        return self.filter(seen_at__gt=Now() - SIGNS_MISSED * timedelta(seconds=settings.MAIL_SWEEP_INTERVAL))

    def silent(self) -> "DelivererQuerySet":
        return self.exclude(pk__in=self.alive())


class Deliverer(models.Model):
    """A process that delivers, and its last sign of life."""

    name = models.CharField(max_length=255, unique=True)  # host, process
    threads = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    objects = DelivererQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
