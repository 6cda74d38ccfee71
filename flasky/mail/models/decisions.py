"""Requeue, hold, release and cancel: the verbs of people."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from flasky.mail.models.batches import Batches
from flasky.mail.models.history import MAX_PERSON, Action
from flasky.mail.models.states import State


class Decisions(Batches):
    def requeue(self, by: str = "") -> int:
        """Queue again, due now, what failed, is held or was cancelled; return how many.

        Recipients who have the mail do not get it again. What was pruned cannot be sent any more.
        """
        chosen = self.filter(state__in=(State.FAILED, State.HELD, State.CANCELLED)).with_body()
        return sum(chosen._requeue_batch(batch, by) for batch in chosen._batches())

    def let_go(self, by: str = "") -> int:
        """Go on with what is held, due now. (To release is another thing: to give back a claim.)"""
        return self.with_body()._act(Action.Verb.LET_GO, by, (State.HELD,), **_fresh())

    def hold(self, by: str = "") -> int:
        """Keep back what is queued until a person decides."""
        return self._act(Action.Verb.HELD, by, (State.QUEUED,), state=State.HELD)

    def cancel(self, by: str = "") -> int:
        """Give up what is queued or held."""
        end = {"state": State.CANCELLED, "finished_at": timezone.now()}
        return self._act(Action.Verb.CANCELLED, by, (State.QUEUED, State.HELD), **end)

    def _act(self, verb: str, by: str, states: tuple[str, ...], **changes: Any) -> int:
        """Change what is in one of the states, and note who did so; return how many there were."""
        chosen = self.filter(state__in=states)
        return sum(chosen._act_on_batch(batch, verb, by, changes) for batch in chosen._batches())

    def _act_on_batch(self, batch: list[int], verb: str, by: str, changes: dict[str, Any]) -> int:
        with transaction.atomic(using=self.db):
            # Locked, and looked at again: since it was picked, somebody may have claimed or changed it.
            # In order, so that of two who lock the same messages none waits for the other in a circle.
            locked = list(self.filter(pk__in=batch).order_by("pk").select_for_update().values_list("pk", flat=True))
            self.model.objects.using(self.db).filter(pk__in=locked).update(**changes)
            Action.objects.using(self.db).bulk_create(
                Action(message_id=key, verb=verb, person=by[:MAX_PERSON]) for key in locked
            )
        return len(locked)

    def _requeue_batch(self, batch: list[int], by: str) -> int:
        verb, fresh = Action.Verb.REQUEUED, _fresh()
        with transaction.atomic(using=self.db):
            # Under the lock of _act_on_batch: who has the mail already must not change any more.
            chosen = self.filter(pk__in=batch).order_by("pk").select_for_update()
            locked = dict(chosen.values_list("pk", "outcomes"))
            somebody_has_it = {key: kept for key, outcomes in locked.items() if (kept := _accepted(outcomes))}
            for key, kept in somebody_has_it.items():
                self._act_on_batch([key], verb, by, fresh | {"outcomes": kept})
            self._act_on_batch(list(locked.keys() - somebody_has_it.keys()), verb, by, fresh | {"outcomes": {}})
        return len(locked)


def _accepted(outcomes: dict[str, Any]) -> dict[str, Any]:
    return {address: outcome for address, outcome in outcomes.items() if outcome["accepted"]}


def _fresh() -> dict[str, Any]:
    """Return the fields of a message that a person has queued again: due now, its age counted from now."""
    now, ends = timezone.now(), {"finished_at": None, "lost_claims": 0, "unknown_ends": 0}
    return {"state": State.QUEUED, "queued_at": now, "next_attempt_at": now} | ends
