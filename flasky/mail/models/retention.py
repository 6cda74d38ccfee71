"""Prune what is finished: the verbs of time."""

from datetime import datetime
from typing import Any, TypeVar

from django.db import models, transaction

from flasky.mail.models.batches import Batches
from flasky.mail.models.hourly import Tally
from flasky.mail.models.states import FINISHED

Chosen = TypeVar("Chosen", bound=models.QuerySet[Any, Any])


class Retention(Batches):
    def finished_before(self: Chosen, moment: datetime) -> Chosen:
        return self.filter(state__in=FINISHED, finished_at__lt=moment)

    def prune_bodies(self) -> int:
        """Empty the bodies of what is finished; return how many."""
        finished = self.filter(state__in=FINISHED).with_body()
        return sum(finished.filter(pk__in=batch).update(content=b"") for batch in finished._batches())

    def prune(self) -> int:
        """Delete what is finished, its attempts too; return how many messages."""
        finished = self.filter(state__in=FINISHED)
        return sum(finished._delete_batch(batch) for batch in finished._batches())

    def _delete_batch(self, batch: list[int]) -> int:
        with transaction.atomic(using=self.db):
            # Locked, and looked at again: what was requeued meanwhile must stay.
            still = list(self.filter(pk__in=batch).select_for_update().values_list("pk", flat=True))
            if still:
                Tally.objects.using(self.db).note_number(max(still))
            self.model.objects.using(self.db).filter(pk__in=still).only("pk").delete()
        return len(still)
