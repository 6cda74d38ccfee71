"""A stored message: how it is claimed and given back, acted on, finished and pruned."""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connections, models, transaction
from django.db.models.functions import Length, Now
from django.utils import timezone

from flasky.mail.models.history import MAX_PERSON, Action, Attempt
from flasky.mail.models.hourly import Tally
from flasky.mail.models.leases import end_of_lease
from flasky.mail.models.states import FINISHED, Door, Priority, State

LOST_CLAIMS_UNTIL_HELD = 3
UNKNOWN_ENDS_UNTIL_HELD = 5  # so many copies may have arrived
CLAIM_SIZE = 1_000_000  # bytes of content in one claim, so that large mails are not all in memory at once
BATCH = 1000  # messages in one short transaction: others must be able to write in between
MOST_COMPARED = 1000  # messages in one look for the one that has waited longest
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


class OutboxMessageQuerySet(models.QuerySet["OutboxMessage"]):
    def due(self) -> "OutboxMessageQuerySet":
        return self.filter(state=State.QUEUED, next_attempt_at__lte=timezone.now())

    def claim(
        self,
        limit: int,
        holder: str = "",
        turn: AbstractContextManager[Any] | None = None,
        among: Iterable[str] = tuple(Priority),
    ) -> list["OutboxMessage"]:
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
            # waits for that: he may be cut off, and his lock stay for long. The next sweep looks again.
            left = self.filter(pk__in=claim[:1], claim_token=token).select_for_update(skip_locked=can_skip)
            first = left.defer("content").first()
            if first is None or not first.give_up_on_holder():
                return 0
            return 1 + self.filter(pk__in=claim).release(token)

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

    def finished_before(self, moment: datetime) -> "OutboxMessageQuerySet":
        return self.filter(state__in=FINISHED, finished_at__lt=moment)

    def with_body(self) -> "OutboxMessageQuerySet":
        return self.exclude(content=b"")

    def prune_bodies(self) -> int:
        """Empty the bodies of what is finished; return how many."""
        finished = self.filter(state__in=FINISHED).with_body()
        return sum(finished.filter(pk__in=batch).update(content=b"") for batch in finished._batches())

    def prune(self) -> int:
        """Delete what is finished, its attempts too; return how many messages."""
        finished = self.filter(state__in=FINISHED)
        return sum(finished._delete_batch(batch) for batch in finished._batches())

    def _batches(self) -> Iterator[list[int]]:
        # The ids first: MariaDB deletes and updates nothing that a subquery with LIMIT on the same table selects.
        last = 0
        while batch := list(self.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            yield batch
            last = batch[-1]

    def _delete_batch(self, batch: list[int]) -> int:
        with transaction.atomic(using=self.db):
            # Locked, and looked at again: what was requeued meanwhile must stay.
            still = list(self.filter(pk__in=batch).select_for_update().values_list("pk", flat=True))
            if still:
                Tally.objects.using(self.db).note_number(max(still))
            self.model.objects.using(self.db).filter(pk__in=still).only("pk").delete()
        return len(still)

    def unfinished(self) -> "OutboxMessageQuerySet":
        """Return what is queued, the first due first, and then what is being sent; read in the index's own order."""
        # One range instead of two values: only then does every database stop after the first few rows.
        return self.filter(state__range=(State.QUEUED, State.SENDING)).order_by("state", *IN_TURN)

    def overdue(self) -> "OutboxMessageQuerySet":
        """Return what has been due for longer than MAIL_OVERDUE seconds, the oldest first."""
        limit = timezone.now() - timedelta(seconds=settings.MAIL_OVERDUE)
        return self.filter(state=State.QUEUED, next_attempt_at__lt=limit).order_by("next_attempt_at")

    def due_later(self) -> "OutboxMessageQuerySet":
        return self.filter(state=State.QUEUED, next_attempt_at__gt=timezone.now())

    def waits_longest(self) -> tuple[datetime, int] | None:
        """Return since when the one of these has waited that has waited longest, and its key; None if none has.

        What waits for a time of its own has not waited yet. Only the first MOST_COMPARED to be due are compared: that
        is quick, and what waits for a retry is due before what is to be sent next week.
        """
        due_first = self.order_by("next_attempt_at").values_list("queued_at", "pk")[:MOST_COMPARED]
        now = timezone.now()
        return min(((since, key) for since, key in due_first if since <= now), default=None)

    def next_attempt_after(self, moment: datetime) -> datetime | None:
        """Return when the first message that is not due at `moment` will be; None if none waits for a later time."""
        later = self.filter(state=State.QUEUED, next_attempt_at__gt=moment)
        return later.aggregate(first=models.Min("next_attempt_at"))["first"]


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


def _accepted(outcomes: dict[str, Any]) -> dict[str, Any]:
    return {address: outcome for address, outcome in outcomes.items() if outcome["accepted"]}


def _fresh() -> dict[str, Any]:
    """Return the fields of a message that a person has queued again: due now, its age counted from now."""
    now, ends = timezone.now(), {"finished_at": None, "lost_claims": 0, "unknown_ends": 0}
    return {"state": State.QUEUED, "queued_at": now, "next_attempt_at": now} | ends


class OutboxMessage(models.Model):
    """A mail in wire form, and what became of it."""

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    created_at = models.DateTimeField("stored at", default=timezone.now)
    queued_at = models.DateTimeField("age counts from", default=timezone.now)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    priority = models.CharField(max_length=10, choices=Priority, default=Priority.NORMAL)
    finished_at = models.DateTimeField(null=True, blank=True)

    claim_token = models.UUIDField(null=True, blank=True)
    claimed_by = models.CharField(max_length=255, blank=True)  # host, process, thread
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    lost_claims = models.PositiveSmallIntegerField(default=0)  # in a row, whose holders were not heard of again
    unknown_ends = models.PositiveSmallIntegerField(default=0, db_default=0)  # attempts in a row, lost claims too
    attempt_count = models.PositiveIntegerField("attempts", default=0)
    last_reply = models.TextField(blank=True)
    possible_duplicate = models.BooleanField(default=False)

    # For listing and searching; the content says the same.
    message_id = models.CharField("Message-ID", max_length=255)
    from_header = models.TextField("from")
    subject = models.TextField(blank=True)

    envelope_sender = models.CharField(max_length=320, blank=True)
    recipients = models.JSONField(default=list)  # envelope addresses: To, Cc and Bcc
    outcomes = models.JSONField(default=dict)  # address → {"accepted": bool, "reply": str}, once it is final
    content = models.BinaryField()  # RFC 5322, CRLF line ends
    provider_options = models.JSONField(default=dict, blank=True)  # Anymail's attributes: tags, metadata, …

    first_recipient = models.CharField(max_length=254, blank=True)  # in lower case, for searching; see FurtherRecipient
    event = models.CharField(max_length=100, blank=True)  # the kind of mail: its template's name
    cause = models.CharField(max_length=100, blank=True)  # the object that it is about, as cause_of() names it
    door = models.CharField(max_length=15, choices=Door, default=Door.OTHER)
    person = models.CharField(max_length=MAX_PERSON, blank=True)  # who came through it, if known
    request_id = models.CharField(max_length=64, blank=True)  # of the request that stored it

    objects = OutboxMessageQuerySet.as_manager()

    class Meta:
        verbose_name = "message"
        indexes = [
            models.Index(fields=["state", "next_attempt_at"], name="outbox_due"),
            # With the key, so that it alone has a claim's order: otherwise PostgreSQL may take the index above, and
            # read all that is due of the other priorities.
            models.Index(fields=["state", "priority", "next_attempt_at", "id"], name="outbox_turn"),
            # Not db_index: on PostgreSQL that makes a second one, for LIKE, and every message is written three times.
            models.Index(fields=["message_id"], name="outbox_message_id"),
            # With the key, so that it alone has the list's order; with the rest, so that SQLite need not read past the
            # contents of 10,000 messages to find those of an event or a door.
            models.Index(fields=["created_at", "id", "event", "door"], name="outbox_stored"),
            models.Index(fields=["state", "created_at"], name="outbox_state_stored"),
            models.Index(fields=["first_recipient", "created_at"], name="outbox_recipient"),
            models.Index(fields=["cause", "created_at"], name="outbox_cause"),
            models.Index(fields=["created_at"], name="outbox_duplicate", condition=models.Q(possible_duplicate=True)),
        ]

    def __str__(self) -> str:
        return f"{self.subject or '(no subject)'} ({self.state})"

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    @property
    def is_pruned(self) -> bool:
        return not self.content

    @property
    def remaining_recipients(self) -> list[str]:
        """The recipients that no relay has accepted or refused for good yet."""
        return [address for address in self.recipients if address not in self.outcomes]

    def release(self, next_attempt_at: datetime | None = None) -> bool:
        """Give back a claim that led to no attempt."""
        return self._give_back(state=State.QUEUED, next_attempt_at=next_attempt_at or self.next_attempt_at)

    def give_up_on_holder(self) -> bool:
        """Take the message from a holder whose lease has expired; return False if somebody else did.

        It may have been on the wire. A message that takes its holder down again and again is held.
        """
        lost_claims, holder = self.lost_claims + 1, self.claimed_by or "an unknown process"
        unknown_ends = self.unknown_ends + 1
        reply = f"Nothing was heard of {holder} after it had claimed the message; it may have been handed over."
        state = State.QUEUED
        if lost_claims >= LOST_CLAIMS_UNTIL_HELD:
            state, reply = State.HELD, f"{reply} This happened {lost_claims} times: held until a person decides."
        elif unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
            state, reply = State.HELD, f"{reply} {unknown_ends} attempts ended in doubt: held until a person decides."
        self.possible_duplicate = True
        with transaction.atomic(using=self._state.db):
            changes = {"state": state, "last_reply": reply, "lost_claims": lost_claims, "unknown_ends": unknown_ends}
            taken = self._give_back(expired=True, counted=True, **changes)
            if taken:
                self.attempts.create(outcome=Attempt.Outcome.UNKNOWN, reply=reply, worker=self.claimed_by)
                Tally.objects.using(self._state.db).count_unknown(is_retry=self.attempt_count > 1)
        return taken

    def _give_back(self, counted: bool = False, expired: bool = False, **changes: Any) -> bool:
        changes |= {
            "claim_token": None,
            "lease_expires_at": None,
            "attempt_count": self.attempt_count + counted,
            "outcomes": self.outcomes,
            "possible_duplicate": self.possible_duplicate,
        }
        claimed = OutboxMessage.objects.filter(pk=self.pk, claim_token=self.claim_token, state=State.SENDING)
        if expired:
            claimed = claimed.filter(lease_expires_at__lt=Now())
        if not claimed.update(**changes):
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True

    def wait(self, timeout: float = 10) -> str:
        """Wait up to `timeout` seconds until the message is finished or held; return its state.

        Raise RuntimeError inside a transaction: nobody delivers what is not committed.
        """
        if connections[self._state.db or "default"].in_atomic_block:
            raise RuntimeError("wait() was called inside a transaction: commit first, nobody else can see the message.")
        deadline, pause = time.monotonic() + timeout, 0.01  # s
        while True:
            self.refresh_from_db(fields=["state", "last_reply", "attempt_count", "finished_at", "outcomes"])
            if self.is_finished or self.state == State.HELD or time.monotonic() >= deadline:
                return self.state
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 2, 0.25)
