"""Look through an outbox that was put back from a copy: what waited then may have left since."""

from datetime import datetime
from typing import Any, TypeVar

from django.db.models import QuerySet

from flasky.mail.models.batches import Batches
from flasky.mail.models.history import MAX_ACTOR, Action
from flasky.mail.models.one_database import write_transaction
from flasky.mail.models.over_budget import OverBudget
from flasky.mail.models.states import State

Chosen = TypeVar("Chosen", bound=QuerySet[Any, Any])


class Restored(Batches):
    def not_sent_at(self: Chosen, moment: datetime) -> Chosen:
        """Return what was stored until then and was not sent by then: it may have left since.

        What had failed or was cancelled too: a person, or an alarm that ended, may have queued it again.
        """
        return self.filter(created_at__lte=moment).exclude(state=State.SENT, finished_at__lte=moment)

    def mark_as_restored(self, by: str) -> int:
        """Mark these as possible duplicates, with a note of who did so; return how many were not yet."""
        unmarked = self.filter(possible_duplicate=False)
        return sum(unmarked._note(batch, Action.Verb.RESTORED, by, {}) for batch in unmarked._batches())

    def hold_restored(self, by: str) -> int:
        """Keep back what of these waits, whoever had claimed it, until a person decides; return how many."""
        waiting = self.filter(state__in=State.waiting())
        held = {"state": State.HELD, "claim_token": None, "lease_expires_at": None}
        found = sum(waiting._note(batch, Action.Verb.HELD, by, held) for batch in waiting._batches())
        kept = self.filter(state=State.HELD)
        for batch in kept._batches():  # the mail budget is not to let them go
            OverBudget.objects.using(self.db).leave_to_people(batch)
        return found

    def _note(self, batch: list[int], verb: str, by: str, changes: dict[str, Any]) -> int:
        with write_transaction(self.db):
            # As in _act_on_batch(): looked at again under the lock, in the order of everybody.
            locked = list(self.filter(pk__in=batch).order_by("pk").select_for_update().values_list("pk", flat=True))
            rows = self.model.objects.using(self.db).filter(pk__in=locked)
            rows.update(possible_duplicate=True, **changes)
            Action.objects.using(self.db).bulk_create(
                Action(message_id=key, verb=verb, actor=by[:MAX_ACTOR]) for key in locked
            )
        return len(locked)
