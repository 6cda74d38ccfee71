"""Prune what is finished: the verbs of time."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, TypeVar

from django.db import models

from flasky.mail.models.batches import Batches
from flasky.mail.models.hourly import HourlyCount
from flasky.mail.models.one_database import write_transaction
from flasky.mail.models.states import State
from flasky.mail.runtime import clock

Chosen = TypeVar("Chosen", bound=models.QuerySet[Any, Any])


class Retention(Batches):
    def finished_before(self: Chosen, moment: datetime) -> Chosen:
        return self.filter(state__in=State.finished(), finished_at__lt=moment)

    def outdated(self, days: int | None, bodies: int | None) -> tuple[Any, Any]:
        """Return what has been finished for so many days, and of the rest what has for as many as bodies are kept.

        None: they are kept for ever.
        """
        now = clock.now()
        old = self.none() if days is None else self.finished_before(now - timedelta(days=days))
        with_old_body = self.none() if bodies is None else self.finished_before(now - timedelta(days=bodies))
        if days is not None:
            with_old_body = with_old_body.filter(finished_at__gte=now - timedelta(days=days))
        return old, with_old_body.with_body()

    def prune_bodies(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Empty the bodies of what is finished; return how many. `stop()` is asked before each batch."""
        finished = self.filter(state__in=State.finished()).with_body()
        return sum(finished.filter(pk__in=batch).update(content=b"", as_given=None) for batch in _until(stop, finished))

    def prune(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Delete what is finished, its attempts too; return how many messages. `stop()` is asked before each batch."""
        finished = self.filter(state__in=State.finished())
        return sum(finished._delete_batch(batch) for batch in _until(stop, finished))

    def _delete_batch(self, batch: list[int]) -> int:
        with write_transaction(self.db):
            # Locked, and looked at again: what was requeued meanwhile must stay.
            still = list(self.filter(pk__in=batch).select_for_update().values_list("pk", flat=True))
            if still:
                HourlyCount.objects.using(self.db).note_number(max(still))
            self.model.objects.using(self.db).filter(pk__in=still).only("pk").delete()
        return len(still)


def _until(stop: Callable[[], bool], messages: Retention) -> Iterator[list[int]]:
    return takewhile(lambda batch: not stop(), messages._batches())
