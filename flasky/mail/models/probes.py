"""Probe whether the database can be written to: a standby can be read, and a full disk too."""

import os
from datetime import timedelta

from django.db import models, transaction
from django.db.models.functions import Now

from flasky.mail.models.one_database import InOneDatabase

SIZE = 16_384  # bytes, as of a small mail; they cannot be compressed, so that they need room
LATELY = 10  # s for which a write that succeeded says enough about the disk, whoever wrote


class WriteProbeQuerySet(InOneDatabase["WriteProbe"]):
    def write(self, lately: int = LATELY) -> None:
        """Write as much as a small mail, unless somebody has done so lately; raise what the database raises."""
        self.filter(pk=0).update(at=Now())  # changes nothing, and is refused where nothing may be written
        if not self.filter(at__gt=Now() - timedelta(seconds=lately), at__lte=Now()).exists():
            with transaction.atomic(using=self.db):
                probe = self.create(content=os.urandom(SIZE))
                self.filter(pk__lt=probe.pk).delete()


class WriteProbe(models.Model):
    """What was written to see whether it can be; each takes the place of those before."""

    at = models.DateTimeField(db_default=Now())
    content = models.BinaryField()

    objects = WriteProbeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"written at {self.at:%Y-%m-%d %H:%M:%S}"
