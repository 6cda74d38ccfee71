"""Store which faults were told of lately, and how often each has happened since."""

from datetime import datetime, timedelta, timezone

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils.timezone import now

from flasky.faults.identity import FURTHER, MAX_TITLE, Identity

NEVER = datetime(2000, 1, 1, tzinfo=timezone.utc)


class FaultQuerySet(models.QuerySet["Fault"]):
    def told(self) -> "FaultQuerySet":
        """Return the faults of which a mail has told in the last ERROR_MAIL_INTERVAL seconds."""
        return self.filter(told_at__gt=_an_interval_ago())

    def note(self, identity: Identity) -> "Fault | None":
        """Note that it has happened; return the fault of which a mail must tell now, if it is this process's turn.

        What is beyond ERROR_MAIL_LIMIT faults is noted as FURTHER. Processes that see new faults at the same moment
        can be over the limit together, by one fault each.
        """
        while not self.told().filter(key=identity.key).update(untold=F("untold") + 1):
            if identity != FURTHER and self.told().exclude(key=FURTHER.key).count() >= settings.ERROR_MAIL_LIMIT:
                return self.note(FURTHER)
            key, title = identity
            self.bulk_create([self.model(key=key, title=title, told_at=NEVER)], ignore_conflicts=True)
            # Of those who see it at once, one gets the turn; the others go round, and count.
            if self.filter(key=key, told_at__lte=_an_interval_ago()).update(told_at=now()):
                return self.get(key=key)
        return None

    def take_counts(self) -> "list[Fault]":
        """Forget the faults that have not come back in their interval; return the others, to be told by the caller."""
        over = self.filter(told_at__lte=_an_interval_ago())
        over.filter(untold=0).delete()
        return [fault for fault in over.filter(untold__gt=0).order_by("pk") if fault.take_count()]


class Fault(models.Model):
    """Something that goes wrong, of which a mail has told; so there are no more than the mails of an interval."""

    key = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=MAX_TITLE)
    told_at = models.DateTimeField()
    untold = models.PositiveIntegerField(default=0)  # how often it has happened since

    objects = FaultQuerySet.as_manager()

    def __str__(self) -> str:
        return self.title

    def take_count(self) -> bool:
        """Begin a new interval; return False if another process has done so."""
        mine = Fault.objects.filter(pk=self.pk, told_at=self.told_at)
        return bool(mine.update(told_at=now(), untold=F("untold") - self.untold))


def _an_interval_ago() -> datetime:
    return now() - timedelta(seconds=settings.ERROR_MAIL_INTERVAL)
