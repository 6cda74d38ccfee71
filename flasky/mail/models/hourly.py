"""Count by the hour how many messages ended, and how long they had waited."""

from datetime import datetime

from django.db import models

from flasky.mail.models.one_database import InOneDatabase
from flasky.mail.runtime import clock

ASIDE = 100  # the slot of those who prune, and of those who take over from the dead; those who deliver have lower ones


class HourlyCountQuerySet(InOneDatabase["HourlyCount"]):
    def note_number(self, number: int) -> None:
        """Remember that messages had numbers up to this one."""
        self._aside().filter(highest_number__lt=number).update(highest_number=number)

    def count_unknown(self, is_retry: bool) -> None:
        """Count an attempt whose holder died."""
        self._aside().update(unknown=models.F("unknown") + 1, retries=models.F("retries") + int(is_retry))

    def note_presence(self) -> None:
        """Remember that in this hour somebody delivered, even if nothing was tried."""
        self._aside()

    def hours_before(self, moment: datetime, most: int) -> "models.QuerySet[HourlyCount, datetime]":
        """Return the last hours in which somebody delivered, the newest first."""
        hours = self.filter(hour__lte=moment).order_by("-hour").values_list("hour", flat=True)
        return hours.distinct()[:most]

    def _aside(self) -> "HourlyCountQuerySet":
        row, _ = self.get_or_create(hour=clock.now().replace(minute=0, second=0, microsecond=0), slot=ASIDE)
        return self.filter(pk=row.pk)


class HourlyCount(models.Model):
    """How many messages ended in an hour, counted by the transactions that ended them; pruning takes nothing away.

    And what their attempts came to. What most hours have nothing of is left out of the statement that counts: the
    database knows that it is 0.
    """

    hour = models.DateTimeField()
    slot = models.PositiveSmallIntegerField()  # processes that count in different rows do not wait for each other
    sent = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    # Attempts, by their outcome
    accepted = models.PositiveIntegerField(db_default=0)
    refused = models.PositiveIntegerField(db_default=0)
    partly = models.PositiveIntegerField(db_default=0)
    postponed = models.PositiveIntegerField(db_default=0)
    unknown = models.PositiveIntegerField(db_default=0)
    retries = models.PositiveIntegerField(db_default=0)  # attempts that were not their message's first

    # How long the messages that were sent had waited. Whole numbers: sums of fractions depend on their order.
    waited_ms = models.PositiveBigIntegerField(db_default=0)

    highest_number = models.PositiveBigIntegerField(db_default=0)  # of the messages that were pruned

    objects = HourlyCountQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hour", "slot"], name="flasky_mail_one_hourly_count")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.sent} sent, {self.failed} failed"
