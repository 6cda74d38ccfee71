"""Who delivers, who is not heard of any more, and who lives but is stuck."""

import os
import socket
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

SIGNS_MISSED = 4  # looks in a row without a sign of life until a process counts as silent


class DelivererQuerySet(models.QuerySet["Deliverer"]):
    def sign(self, name: str, threads: int, stuck_for: float = 0) -> None:
        """Note a sign of life, and for how many seconds it is the only one, if for too long.

        By the database's clock: the hosts' clocks may differ.
        """
        name = name[:255]
        state = {"threads": threads, "stuck_since": Now() - timedelta(seconds=stuck_for) if stuck_for else None}
        if not self.filter(name=name).update(seen_at=Now(), **state):
            self.get_or_create(name=name, defaults=state)

    def sign_off(self, name: str) -> None:
        """Forget this one, and those who have died long ago without a word."""
        self.filter(models.Q(name=name[:255]) | models.Q(seen_at__lt=Now() - timedelta(days=1))).delete()

    def alive(self) -> "DelivererQuerySet":
        return self.filter(seen_at__gt=Now() - SIGNS_MISSED * timedelta(seconds=settings.MAIL_SWEEP_INTERVAL))

    def stuck(self) -> "DelivererQuerySet":
        """Return those who give signs of life and have work, but have got nowhere for too long."""
        return self.alive().filter(stuck_since__isnull=False).order_by("name")

    def silent(self) -> "DelivererQuerySet":
        return self.exclude(pk__in=self.alive())


class Deliverer(models.Model):
    """A process that delivers, and its last sign of life."""

    name = models.CharField(max_length=255, unique=True)  # host, process
    threads = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    stuck_since = models.DateTimeField(null=True, blank=True)

    objects = DelivererQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


def this_process() -> str:
    """Return the name by which this process is known to the others: its host and its number there."""
    return f"{socket.gethostname()} {os.getpid()}"[:255]
