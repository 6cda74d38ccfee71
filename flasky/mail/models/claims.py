"""Claim what is due, keep it, give it back: the verbs of who delivers."""

import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from django.db import connections, models, transaction
from django.db.models.functions import Length, Now
from django.utils import timezone

from flasky.mail.models.leases import end_of_lease
from flasky.mail.models.states import Priority, State

CLAIM_SIZE = 1_000_000  # bytes of content in one claim, so that large mails are not all in memory at once
IN_TURN = ("next_attempt_at", "pk")
NOT_FOR_DELIVERY = (
    "message_id",
    "from_header",
    "subject",
    "created_at",
    "priority",
    "finished_at",
    "last_reply",
    "lease_expires_at",
    "first_recipient",
    "event",
    "cause",
    "door",
    "person",
)

Chosen = TypeVar("Chosen", bound=models.QuerySet[Any, Any])


class Claims(models.QuerySet[Any, Any]):
    def due(self: Chosen) -> Chosen:
        return self.filter(state=State.QUEUED, next_attempt_at__lte=timezone.now())

    def claim(
        self,
        limit: int,
        holder: str = "",
        turn: AbstractContextManager[Any] | None = None,
        among: Iterable[str] = tuple(Priority),
    ) -> list[Any]:
        """Take up to `limit` due messages, oldest first, so that nobody else can; each call has a fresh token.

        All are of one priority, the first of those in `among` that can be had. There are fewer if they are large. Their
        holder must deliver them in this order, and record each before the text of the next one leaves. The lease is
        reckoned by the database's clock alone: the hosts' clocks may differ. Nothing is written outside of `turn`, for
        those who write one after the other.
        """
        token = uuid.uuid4()
        with turn or nullcontext(), transaction.atomic(using=self.db):
            candidates = self._first_candidates(limit, among)
            # Guarded by the state: where rows cannot be locked, somebody may have been quicker.
            taken = self.filter(pk__in=candidates, state=State.QUEUED).update(
                state=State.SENDING, claim_token=token, claimed_by=holder[:255], lease_expires_at=end_of_lease()
            )
        claimed = self.filter(pk__in=candidates, claim_token=token).order_by(*IN_TURN)
        return list(claimed.defer(*NOT_FOR_DELIVERY)) if taken else []

    def _first_candidates(self, limit: int, among: Iterable[str]) -> list[int]:
        for priority in among:
            if candidates := _small_enough(self._candidates(priority)[:limit]):
                return candidates
        return []

    def _candidates(self, priority: str) -> models.QuerySet[Any, Any]:
        due = self.due().filter(priority=priority).order_by(*IN_TURN).values_list("pk", Length("content"))
        if connections[self.db].features.has_select_for_update_skip_locked:
            return due.select_for_update(skip_locked=True)
        return due

    def renew(self, tokens: set[uuid.UUID]) -> int:
        """Prolong the leases of the claims that their holder is still busy with."""
        held = self.filter(state=State.SENDING, claim_token__in=tokens)
        return held.update(lease_expires_at=end_of_lease())

    def release(self, token: uuid.UUID) -> int:
        """Give back what is left of a claim, with no attempt counted."""
        return self.filter(state=State.SENDING, claim_token=token).update(
            state=State.QUEUED, claim_token=None, lease_expires_at=None
        )

    def release_expired(self) -> int:
        """Queue again what was claimed by somebody who died; return how many."""
        expired = self.filter(state=State.SENDING, lease_expires_at__lt=Now())
        tokens = set(expired.values_list("claim_token", flat=True))
        return sum(expired._release_claim(token) for token in tokens)

    def _release_claim(self, token: uuid.UUID) -> int:
        claim = list(self.filter(claim_token=token).order_by(*IN_TURN).values_list("pk", flat=True))
        can_skip = connections[self.db].features.has_select_for_update_skip_locked
        with transaction.atomic(using=self.db):
            # Locked: a holder who lives after all must not go from one to the next while this decides. Only the first
            # may have been handed over; the others' turn comes when it is recorded. If somebody is recording it, nobody
            # waits for that: the holder may be cut off, and its lock stay for long. The next sweep looks again.
            left = self.filter(pk__in=claim[:1], claim_token=token).select_for_update(skip_locked=can_skip)
            first = left.defer("content").first()
            if first is None or not first.give_up_on_holder():
                return 0
            return 1 + self.filter(pk__in=claim).release(token)


def _small_enough(candidates: models.QuerySet[Any, Any]) -> list[int]:
    """Return the keys of the first ones that are at most CLAIM_SIZE together, and of one at least."""
    keys: list[int] = []
    total = 0
    for key, size in candidates:
        total += size
        if keys and total > CLAIM_SIZE:
            break
        keys.append(key)
    return keys
