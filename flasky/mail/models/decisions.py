"""Requeue, hold, release and cancel: the verbs of people."""

from typing import Any

from flasky.mail.models.batches import Batches
from flasky.mail.models.gathered import Gathered
from flasky.mail.models.history import MAX_ACTOR, Action
from flasky.mail.models.one_database import write_transaction
from flasky.mail.models.over_budget import OverBudget
from flasky.mail.models.states import State
from flasky.mail.runtime import clock


class Decisions(Batches):
    def requeue(self, by: str = "") -> int:
        """Queue again, due now, what failed, is held or was cancelled; return how many.

        Recipients who have the mail do not get it again. What was pruned cannot be sent any more.
        """
        chosen = self.filter(state__in=State.for_requeue()).with_body()
        return sum(chosen._requeue_batch(batch, by, _fresh()) for batch in chosen._batches())

    def take_back(self, by: str) -> int:
        """Queue again what has failed for a reason that was not its own, no younger than before; return how many."""
        chosen = self.filter(state=State.FAILED).with_body()
        changes = {name: value for name, value in _fresh().items() if name != "queued_at"}
        return sum(chosen._requeue_batch(batch, by, changes) for batch in chosen._batches())

    def try_now(self, by: str = "") -> int:
        """Let what is queued be due now, whatever it waits for; return how many. Its age counts on."""
        return self._act(Action.Verb.TRIED_NOW, by, State.for_try_now(), next_attempt_at=clock.now())

    def release(self, by: str = "") -> int:
        """Go on with what is held, due now; return how many."""
        return self.with_body()._act(Action.Verb.RELEASED, by, State.for_release(), **_fresh())

    def let_go(self, by: str) -> int:
        """Go on with what is held without a person's decision: what is for later is due when it was to be."""
        later = self.with_body().filter(next_attempt_at__gt=clock.now())
        return later._act(Action.Verb.RELEASED, by, State.for_release(), state=State.QUEUED) + self.release(by)

    def hold(self, by: str = "") -> int:
        """Keep back what is queued until a person decides; return how many."""
        return self._act(Action.Verb.HELD, by, State.for_hold(), state=State.HELD)

    def cancel(self, by: str = "") -> int:
        """Give up what is queued or held; return how many."""
        end = {"state": State.CANCELLED, "finished_at": clock.now()}
        return self._act(Action.Verb.CANCELLED, by, State.for_cancel(), **end)

    def _act(self, verb: str, by: str, states: tuple[State, ...], **changes: Any) -> int:
        """Change what is in one of the states, and note who did so; return how many there were."""
        chosen = self.filter(state__in=states)
        return sum(chosen._act_on_batch(batch, verb, by, changes) for batch in chosen._batches())

    def _act_on_batch(self, batch: list[int], verb: str, by: str, changes: dict[str, Any]) -> int:
        with write_transaction(self.db):
            # Locked, and looked at again: since it was picked, somebody may have claimed or changed it.
            # In order, so that of two who lock the same messages none waits for the other in a circle.
            locked = list(self.filter(pk__in=batch).order_by("pk").select_for_update().values_list("pk", flat=True))
            self.model.objects.using(self.db).filter(pk__in=locked).update(**changes)
            OverBudget.objects.using(self.db).leave_to_people(locked)
            Gathered.objects.using(self.db).leave_to_people(locked)
            Action.objects.using(self.db).bulk_create(
                Action(message_id=key, verb=verb, actor=by[:MAX_ACTOR]) for key in locked
            )
        return len(locked)

    def _requeue_batch(self, batch: list[int], by: str, changes: dict[str, Any]) -> int:
        verb = Action.Verb.REQUEUED
        with write_transaction(self.db):
            # Under the lock of _act_on_batch: who has the mail already must not change any more.
            chosen = self.filter(pk__in=batch).order_by("pk").select_for_update()
            locked = dict(chosen.values_list("pk", "outcomes"))
            somebody_has_it = {key: kept for key, outcomes in locked.items() if (kept := _accepted(outcomes))}
            for key, kept in somebody_has_it.items():
                self._act_on_batch([key], verb, by, changes | {"outcomes": kept})
            self._act_on_batch(list(locked.keys() - somebody_has_it.keys()), verb, by, changes | {"outcomes": {}})
        return len(locked)


def _accepted(outcomes: dict[str, Any]) -> dict[str, Any]:
    return {address: outcome for address, outcome in outcomes.items() if outcome["accepted"]}


def _fresh() -> dict[str, Any]:
    """Return the fields of a message that a person has queued again: due now, its age counted from now."""
    now, ends = clock.now(), {"finished_at": None, "lost_claims": 0, "unknown_ends": 0}
    return {"state": State.QUEUED, "queued_at": now, "next_attempt_at": now} | ends
