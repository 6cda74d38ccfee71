"""Claim what is due, keep it, give it back, take it over: the verbs of who delivers, and how a claim ends."""

import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, TypeVar

from django.db import connections, models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop as _

from flasky.mail.models.history import Attempt
from flasky.mail.models.hourly import HourlyCount
from flasky.mail.models.leases import end_of_lease, is_misdated, is_over
from flasky.mail.models.one_database import InOneDatabase, write_transaction
from flasky.mail.models.states import Priority, State
from flasky.mail.models.written_once import candidates, take
from flasky.mail.runtime import clock

LOST_CLAIMS_UNTIL_HELD = 3
UNKNOWN_ENDS_UNTIL_HELD = 5  # so many copies may have arrived
# What is stored when they have: English, as in the log; a page says it in its reader's language.
NOTHING_HEARD = _("Nothing was heard of %(holder)s after it had claimed the message; it may have been handed over.")
LOST_AGAIN = _("This happened %(count)s times: held until a person decides.")
IN_DOUBT_AGAIN = _("%(count)s attempts ended in doubt: held until a person decides.")
CLAIM_SIZE = 1_000_000  # bytes of content in one claim, so that large mails are not all in memory at once
IN_TURN = ("next_attempt_at", "pk")
FOR_DELIVERY = (  # what whoever delivers reads of a claimed message: no more, for each message is claimed
    "envelope_sender",
    "recipients",
    "content",
    "as_given",
    "provider_options",
    # What the end of an attempt is reckoned from
    "claim_token",
    "queued_at",
    "next_attempt_at",
    "attempt_count",
    "outcomes",
    "unknown_ends",
    "possible_duplicate",
    "request_id",
    "is_sensitive",
)

Chosen = TypeVar("Chosen", bound=models.QuerySet[Any, Any])


class Claims(InOneDatabase[Any]):
    def due(self: Chosen) -> Chosen:
        return self.filter(state=State.QUEUED, next_attempt_at__lte=clock.now())

    def claim(
        self,
        limit: int,
        holder: str = "",
        turn: AbstractContextManager[Any] | None = None,
        among: Iterable[str] = tuple(Priority),
        queued_until: datetime | None = None,
    ) -> list[Any]:
        """Take up to `limit` due messages, oldest first, so that nobody else can; each call has a fresh token.

        All are of one priority, the first of those in `among` that can be had. There are fewer if they are large. Their
        holder must deliver them in this order, and record each before the text of the next one leaves. The lease is
        reckoned by the database's clock alone: the hosts' clocks may differ. Nothing is written outside of `turn`, for
        those who write one after the other. With `queued_until` only what has been queued since then or longer; the
        queryset's own filters would not count, so there must be none.
        """
        assert not self.query.where, "claim() chooses by itself, whatever the queryset is filtered by"
        token = uuid.uuid4()
        with turn or nullcontext(), write_transaction(self.db):
            keys = self._first_candidates(limit, among, queued_until)
            if not keys:
                return []
            # Guarded by the state: where rows cannot be locked, somebody may have been quicker.
            taken = take(self.model, self.db, keys, token, holder[:255], FOR_DELIVERY)
        return sorted(taken, key=lambda each: (each.next_attempt_at, each.pk))  # IN_TURN

    def _first_candidates(self, limit: int, among: Iterable[str], queued_until: datetime | None) -> list[int]:
        for priority in among:
            if found := candidates(self.model, self.db, priority, clock.now(), limit, queued_until):
                return _small_enough(found)
        return []

    def renew(self, tokens: set[uuid.UUID]) -> int:
        """Prolong the leases of the claims that their holder is still busy with."""
        held = self.filter(state=State.SENDING, claim_token__in=tokens)
        return held.update(lease_expires_at=end_of_lease())

    def give_back(self, token: uuid.UUID) -> int:
        """Give back what is left of a claim, with no attempt counted."""
        return self.filter(state=State.SENDING, claim_token=token).update(
            state=State.QUEUED, claim_token=None, lease_expires_at=None
        )

    def take_over_expired(self) -> int:
        """Queue again what was claimed by somebody who died; return how many.

        A lease that a clock can only have jumped over begins anew: if its holder lives, it is renewed before it ends.
        """
        claimed = self.filter(state=State.SENDING)
        is_odd = models.ExpressionWrapper(is_misdated(), models.BooleanField())
        ended: dict[uuid.UUID, bool] = dict(claimed.filter(is_over()).values_list("claim_token", is_odd))
        if any(ended.values()):
            claimed.filter(is_misdated()).update(lease_expires_at=end_of_lease())
        expired = claimed.filter(lease_expires_at__lt=Now())
        return sum(expired._take_over_claim(token) for token, odd in ended.items() if not odd)

    def _take_over_claim(self, token: uuid.UUID) -> int:
        claim = list(self.filter(claim_token=token).order_by(*IN_TURN).values_list("pk", flat=True))
        can_skip = connections[self.db].features.has_select_for_update_skip_locked
        with write_transaction(self.db):
            # Locked: a holder who lives after all must not go from one to the next while this decides. Only the first
            # may have been handed over; the others' turn comes when it is recorded. If somebody is recording it, nobody
            # waits for that: the holder may be cut off, and its lock stay for long. The next sweep looks again.
            left = self.filter(pk__in=claim[:1], claim_token=token).select_for_update(skip_locked=can_skip)
            first = left.defer("content", "as_given").first()
            if first is None or not first.give_up_on_holder():
                return 0
            return 1 + self.filter(pk__in=claim).give_back(token)


def _small_enough(candidates: Iterable[tuple[int, int]]) -> list[int]:
    """Return the keys of the first ones that are at most CLAIM_SIZE together, and of one at least."""
    keys: list[int] = []
    total = 0
    for key, size in candidates:
        total += size
        if keys and total > CLAIM_SIZE:
            break
        keys.append(key)
    return keys


class Claimed:
    """A message as far as its claim goes: how that ends without a recorded reply."""

    def give_back(self: Any, next_attempt_at: datetime | None = None) -> bool:
        """Give back a claim that led to no attempt."""
        return self._end_claim(state=State.QUEUED, next_attempt_at=next_attempt_at or self.next_attempt_at)

    def give_up_on_holder(self: Any) -> bool:
        """Take the message from a holder whose lease has expired; return False if somebody else did.

        It may have been on the wire. A message that takes its holder down again and again is held.
        """
        lost_claims, holder = self.lost_claims + 1, self.claimed_by or "an unknown process"
        unknown_ends = self.unknown_ends + 1
        reply = NOTHING_HEARD % {"holder": holder}
        state = State.QUEUED
        if lost_claims >= LOST_CLAIMS_UNTIL_HELD:
            state, reply = State.HELD, f"{reply} {LOST_AGAIN % {'count': lost_claims}}"
        elif unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
            state, reply = State.HELD, f"{reply} {IN_DOUBT_AGAIN % {'count': unknown_ends}}"
        self.possible_duplicate = True
        with transaction.atomic(using=self._state.db):
            changes = {"state": state, "last_reply": reply, "lost_claims": lost_claims, "unknown_ends": unknown_ends}
            taken = self._end_claim(expired=True, counted=True, **changes)
            if taken:
                self.attempts.create(outcome=Attempt.Outcome.UNKNOWN, reply=reply, worker=self.claimed_by)
                HourlyCount.objects.using(self._state.db).count_unknown(is_retry=self.attempt_count > 1)
        return taken

    def _end_claim(self: Any, counted: bool = False, expired: bool = False, **changes: Any) -> bool:
        changes |= {
            "claim_token": None,
            "lease_expires_at": None,
            "attempt_count": self.attempt_count + counted,
            "outcomes": self.outcomes,
            "possible_duplicate": self.possible_duplicate,
        }
        claimed = type(self).objects.filter(pk=self.pk, claim_token=self.claim_token, state=State.SENDING)
        if expired:
            claimed = claimed.filter(lease_expires_at__lt=Now())
        if not claimed.update(**changes):
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True
