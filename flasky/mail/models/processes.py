"""Store which processes deliver, with their last sign of life, and which of them are stuck."""

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now

from flasky.mail.conf import conf
from flasky.mail.models.one_database import InOneDatabase

SIGNS_MISSED = 4  # looks in a row without a sign of life until a process counts as missing


class ProcessQuerySet(InOneDatabase["Process"]):
    def heartbeat(self, name: str, threads: int, stuck_for: float = 0, clock_ahead: float = 0) -> None:
        """Note a sign of life, and for how many seconds it is the only one, if for too long.

        By the database's clock: the hosts' clocks may differ.
        """
        name = name[:255]
        stuck_since = Now() - timedelta(seconds=stuck_for) if stuck_for else None
        state = {"threads": threads, "stuck_since": stuck_since, "clock_ahead": clock_ahead}
        if not self.filter(name=name).update(seen_at=Now(), **state):
            self.get_or_create(name=name, defaults=state)

    def leave(self, name: str) -> None:
        """Forget this one, and those who have died long ago without a word."""
        self.filter(models.Q(name=name[:255]) | models.Q(seen_at__lt=Now() - timedelta(days=1))).delete()

    def alive(self) -> "ProcessQuerySet":
        return self.filter(_is_alive())

    def stuck(self) -> "ProcessQuerySet":
        """Return those who give signs of life and have work, but have got nowhere for too long."""
        return self.alive().filter(stuck_since__isnull=False).order_by("name")

    def alive_and_missing(self) -> tuple[list["Process"], list["Process"]]:
        """Return those that are alive, by name, and the others, the last heard of first; they are read at once."""
        is_alive = models.ExpressionWrapper(_is_alive(), models.BooleanField())
        found: list[Any] = list(self.annotate(is_alive=is_alive).order_by("name"))
        alive, missing = ([each for each in found if each.is_alive == wanted] for wanted in (True, False))
        return alive, sorted(missing, key=lambda each: each.seen_at, reverse=True)


def _is_alive() -> models.Q:
    """Return the condition, by the database's clock."""
    lately = SIGNS_MISSED * timedelta(seconds=conf.MAIL_SWEEP_INTERVAL)
    return models.Q(seen_at__gt=Now() - lately, seen_at__lt=Now() + lately)  # or a clock that was ahead has written it


class Process(models.Model):
    """A process that delivers, and its last sign of life."""

    name = models.CharField(max_length=255, unique=True)  # host, process
    threads = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    stuck_since = models.DateTimeField(null=True, blank=True)
    clock_ahead = models.FloatField(default=0, db_default=0)  # s, of its host, compared with the database's

    objects = ProcessQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name
