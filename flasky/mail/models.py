"""What a stored message is, its states, how it is claimed and finished."""

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from datetime import timezone as zones
from typing import Any

from django.conf import settings
from django.db import connections, models, transaction
from django.db.models.functions import Length, Now
from django.utils import timezone

LOST_CLAIMS_UNTIL_HELD = 3
MAX_PERSON = 150  # characters
CLAIM_SIZE = 1_000_000  # bytes of content in one claim, so that large mails are not all in memory at once
SIGNS_MISSED = 4  # looks in a row without a sign of life until a process counts as silent
PRUNING = 100  # the slot of the tally that those who prune write to; those who deliver have lower ones
SAME_CROWD = 2  # s within which several refusals for too many connections count as one
CALM = 60  # s without such a refusal until one connection more is allowed
LONG_AGO = datetime(2000, 1, 1, tzinfo=zones.utc)
BATCH = 1000  # messages in one short transaction: others must be able to write in between


class State(models.TextChoices):
    """`unfinished()` relies on no other name coming between queued and sending in the alphabet."""

    QUEUED = "queued"  # waits, and is due once next_attempt_at has come
    SENDING = "sending"  # claimed; its holder's lease runs until lease_expires_at
    SENT = "sent"  # accepted for at least one recipient, and nobody is left to try
    FAILED = "failed"  # refused for good, or given up
    HELD = "held"  # kept back until a person decides
    CANCELLED = "cancelled"  # given up by hand


FINISHED = (State.SENT, State.FAILED, State.CANCELLED)


class Door(models.TextChoices):
    """Through which a mail came."""

    FORM = "form", "the form"
    ADMIN = "admin", "the admin"
    COMMAND = "sendtestemail", "manage.py sendtestemail"
    OTHER = "other", "elsewhere"  # the shell, another command, an error report


class Priority(models.TextChoices):
    """What overtakes what, the most urgent first."""

    URGENT = "urgent"  # somebody waits for it: a password reset
    NORMAL = "normal"
    BULK = "bulk"  # newsletters


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
                state=State.SENDING, claim_token=token, claimed_by=holder[:255], lease_expires_at=_end_of_lease()
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
        return held.update(lease_expires_at=_end_of_lease())

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
        claim = list(self.filter(claim_token=token).values_list("pk", flat=True))
        with transaction.atomic(using=self.db):
            # Locked: a holder who lives after all must not go from one to the next while this decides. Only the first
            # may have been handed over; the others' turn comes when it is recorded.
            left = self.filter(pk__in=claim, claim_token=token).order_by(*IN_TURN).select_for_update()
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

    def waiting_for_a_retry(self) -> "OutboxMessageQuerySet":
        return self.filter(state=State.QUEUED, next_attempt_at__gt=timezone.now())

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
    now = timezone.now()
    return {"state": State.QUEUED, "queued_at": now, "next_attempt_at": now, "finished_at": None, "lost_claims": 0}


def _end_of_lease() -> Any:
    return Now() + timedelta(seconds=settings.MAIL_LEASE)


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
    request_id = models.CharField(max_length=64, blank=True)  # of the request that stored it; see flasky.request_id

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
            models.Index(fields=["created_at"], name="outbox_stored"),
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
        reply = f"Nothing was heard of {holder} after it had claimed the message; it may have been handed over."
        state = State.QUEUED
        if lost_claims >= LOST_CLAIMS_UNTIL_HELD:
            state, reply = State.HELD, f"{reply} This happened {lost_claims} times: held until a person decides."
        self.possible_duplicate = True
        with transaction.atomic(using=self._state.db):
            taken = self._give_back(expired=True, counted=True, state=state, last_reply=reply, lost_claims=lost_claims)
            if taken:
                self.attempts.create(outcome=Attempt.Outcome.UNKNOWN, reply=reply, worker=self.claimed_by)
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


class Attempt(models.Model):
    """One try to deliver one message."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", "accepted"  # for every recipient that was tried
        REFUSED = "refused", "refused"  # for good, for every recipient that was tried
        PARTLY = "partly accepted", "partly accepted"  # not the same for all
        POSTPONED = "refused for now", "refused for now"
        UNKNOWN = "unknown", "unknown"  # handed over whole without a reply, or the holder died
        LATE = "too late", "too late"  # the reply came when somebody else had taken the message over

    message = models.ForeignKey(OutboxMessage, models.CASCADE, related_name="attempts")
    started_at = models.DateTimeField(default=timezone.now)
    seconds = models.FloatField(default=0)
    outcome = models.CharField(max_length=20, choices=Outcome)
    reply = models.TextField(blank=True)
    server = models.CharField(max_length=255, blank=True)
    secured = models.BooleanField(default=False)
    logged_in = models.BooleanField(default=False)
    worker = models.CharField(max_length=255, blank=True)  # host, process, thread
    claim_token = models.UUIDField(null=True, blank=True)  # of the claim whose holder wrote this

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"attempt of {self.started_at:%Y-%m-%d %H:%M:%S}"


class Action(models.Model):
    """What a person did to a message."""

    class Verb(models.TextChoices):
        REQUEUED = "requeued", "requeued"
        LET_GO = "released", "released"  # from being held
        HELD = "held", "held"
        CANCELLED = "cancelled", "cancelled"
        SENT_AGAIN = "sent again", "sent again as a new message"
        COPIED = "made", "made from another message"
        FORWARDED = "forwarded", "forwarded"

    message = models.ForeignKey(OutboxMessage, models.CASCADE, related_name="actions")
    at = models.DateTimeField(default=timezone.now)
    verb = models.CharField(max_length=20, choices=Verb)
    person = models.CharField(max_length=MAX_PERSON, blank=True)
    other = models.BigIntegerField(null=True, blank=True)  # the number of the message that it was made from or into

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} by {self.person or 'somebody'}"


class FurtherRecipient(models.Model):
    """A recipient beyond the first, so that an index finds the message; most messages have none."""

    message = models.ForeignKey(OutboxMessage, models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)  # in lower case
    created_at = models.DateTimeField()  # the message's: the newest messages are found without reading the others

    class Meta:
        indexes = [models.Index(fields=["address", "created_at"], name="outbox_further_recipient")]

    def __str__(self) -> str:
        return self.address


WAITS = {  # seconds from the queue to the acceptance, at most: in which column of the tally it is counted
    0.1: "within_100_ms",
    0.5: "within_500_ms",
    1: "within_1_s",
    5: "within_5_s",
    15: "within_15_s",
    60: "within_1_min",
    300: "within_5_min",
    900: "within_15_min",
    3600: "within_1_h",
    21_600: "within_6_h",
    86_400: "within_1_day",
    float("inf"): "beyond_1_day",
}


class TallyQuerySet(models.QuerySet["Tally"]):
    def note_number(self, number: int) -> None:
        """Remember that messages had numbers up to this one."""
        row, _ = self.get_or_create(hour=timezone.now().replace(minute=0, second=0, microsecond=0), slot=PRUNING)
        self.filter(pk=row.pk, highest_number__lt=number).update(highest_number=number)


class Tally(models.Model):
    """How many messages ended in an hour, counted by the transactions that ended them; pruning takes nothing away.

    And what their attempts came to. What most hours have nothing of is left out of the statement that counts: the
    database knows that it is 0.
    """

    hour = models.DateTimeField()
    slot = models.PositiveSmallIntegerField()  # processes that count in different rows do not wait for each other
    sent = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    # Attempts, by their outcome
    accepted = models.PositiveIntegerField(db_default=0)
    refused = models.PositiveIntegerField(db_default=0)
    partly = models.PositiveIntegerField(db_default=0)
    postponed = models.PositiveIntegerField(db_default=0)
    unknown = models.PositiveIntegerField(db_default=0)
    retries = models.PositiveIntegerField(db_default=0)  # attempts that were not their message's first

    # How long the messages that were sent had waited. Whole numbers: sums of fractions depend on their order.
    waited_ms = models.PositiveBigIntegerField(db_default=0)
    within_100_ms = models.PositiveIntegerField(db_default=0)
    within_500_ms = models.PositiveIntegerField(db_default=0)
    within_1_s = models.PositiveIntegerField(db_default=0)
    within_5_s = models.PositiveIntegerField(db_default=0)
    within_15_s = models.PositiveIntegerField(db_default=0)
    within_1_min = models.PositiveIntegerField(db_default=0)
    within_5_min = models.PositiveIntegerField(db_default=0)
    within_15_min = models.PositiveIntegerField(db_default=0)
    within_1_h = models.PositiveIntegerField(db_default=0)
    within_6_h = models.PositiveIntegerField(db_default=0)
    within_1_day = models.PositiveIntegerField(db_default=0)
    beyond_1_day = models.PositiveIntegerField(db_default=0)

    highest_number = models.PositiveBigIntegerField(db_default=0)  # of the messages that were pruned

    objects = TallyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["hour", "slot"], name="outbox_tally")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.sent} sent, {self.failed} failed"


class DelivererQuerySet(models.QuerySet["Deliverer"]):
    def sign(self, name: str, threads: int) -> None:
        """Note a sign of life, by the database's clock: the hosts' clocks may differ."""
        name = name[:255]
        if not self.filter(name=name).update(threads=threads, seen_at=Now()):
            self.get_or_create(name=name, defaults={"threads": threads})

    def sign_off(self, name: str) -> None:
        """Forget this one, and those who have died long ago without a word."""
        self.filter(models.Q(name=name[:255]) | models.Q(seen_at__lt=Now() - timedelta(days=1))).delete()

    def alive(self) -> "DelivererQuerySet":
        return self.filter(seen_at__gt=Now() - SIGNS_MISSED * timedelta(seconds=settings.MAIL_SWEEP_INTERVAL))

    def silent(self) -> "DelivererQuerySet":
        return self.exclude(pk__in=self.alive())


class Deliverer(models.Model):
    """A process that delivers, and its last sign of life."""

    name = models.CharField(max_length=255, unique=True)  # host, process
    threads = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    objects = DelivererQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class RelayQuerySet(models.QuerySet["Relay"]):
    def free_at(self, server: str) -> tuple[datetime, datetime]:
        """Return the moment from which the next message may leave, and the moment now, both by the database's clock."""
        relay = self.filter(server=server[:255])
        while not (found := relay.values_list("free_at", Now()).first()):
            self.get_or_create(server=server[:255])
        return found

    def reserve(self, server: str, free_at: datetime, end: datetime) -> bool:
        """Move the moment from which the next message may leave; return False if somebody has moved it meanwhile."""
        return bool(self.filter(server=server[:255], free_at=free_at).update(free_at=end))

    def connections(self, server: str, limit: int) -> int:
        """Return how many connections may be open now."""
        lowered = self.filter(server=server[:255]).values_list("allowed", flat=True).first()
        return min(limit, lowered or limit)

    def allow_fewer(self, server: str, limit: int, in_use: int) -> tuple[int, int]:
        """Halve the connections that may be open; return how many it were and are.

        Those who meet the same crowd, within seconds, halve it once.
        """
        relay, _ = self.get_or_create(server=server[:255])
        before = min(limit, relay.allowed or limit)
        after = max(1, min(before, in_use + 1) // 2)
        same_crowd = Now() - timedelta(seconds=SAME_CROWD)
        unchanged = self.filter(pk=relay.pk, allowed=relay.allowed, allowed_since__lt=same_crowd)
        return before, after if unchanged.update(allowed=after, allowed_since=Now()) else before

    def allow_one_more(self, server: str, limit: int) -> None:
        """Do so if a while has passed since the last change."""
        calm = self.filter(server=server[:255], allowed__lt=limit, allowed_since__lt=Now() - timedelta(seconds=CALM))
        calm.update(allowed=models.F("allowed") + 1, allowed_since=Now())


class Relay(models.Model):
    """What all who deliver to a relay share; there is none without a limit."""

    server = models.CharField(max_length=255, unique=True)
    # The next message may leave then. Never just Now(): what SQLite writes for that equals nothing that we could name.
    free_at = models.DateTimeField(default=LONG_AGO)
    allowed = models.PositiveSmallIntegerField(null=True, blank=True)  # connections; none: as many as the setting says
    allowed_since = models.DateTimeField(default=LONG_AGO)

    objects = RelayQuerySet.as_manager()

    def __str__(self) -> str:
        return self.server


class SeatQuerySet(models.QuerySet["Seat"]):
    def take(self, server: str, allowed: int, token: uuid.UUID, holder: str) -> bool:
        """Take one of the seats that are allowed, by the database's clock; return False if all are taken."""
        seats = self.filter(server=server[:255], number__lt=allowed)
        free = seats.filter(lease_expires_at__lt=Now()).order_by("number")
        while not seats._take_one(list(free.values_list("pk", flat=True)), token, holder):
            if seats.count() >= allowed:
                return False
            missing = [Seat(server=server[:255], number=number) for number in range(allowed)]
            Seat.objects.using(self.db).bulk_create(missing, ignore_conflicts=True)
        return True

    def _take_one(self, keys: list[int], token: uuid.UUID, holder: str) -> bool:
        changes = {"token": token, "holder": holder[:255], "lease_expires_at": _end_of_lease()}
        return any(self.filter(pk=key, lease_expires_at__lt=Now()).update(**changes) for key in keys)

    def leave(self, token: uuid.UUID) -> None:
        self.filter(token=token).update(token=None, lease_expires_at=LONG_AGO)

    def renew(self, tokens: set[uuid.UUID]) -> None:
        self.filter(token__in=tokens).update(lease_expires_at=_end_of_lease())

    def numbers(self, tokens: set[uuid.UUID]) -> dict[uuid.UUID | None, int]:
        return dict(self.filter(token__in=tokens).values_list("token", "number"))

    def in_use(self, server: str) -> int:
        return self.filter(server=server[:255], lease_expires_at__gte=Now()).count()


class Seat(models.Model):
    """A connection that may be open to a relay; it is free when its lease is over."""

    server = models.CharField(max_length=255)
    number = models.PositiveSmallIntegerField()
    token = models.UUIDField(null=True, blank=True)
    holder = models.CharField(max_length=255, blank=True)  # host, process
    lease_expires_at = models.DateTimeField(default=LONG_AGO)

    objects = SeatQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "number"], name="outbox_seat")]

    def __str__(self) -> str:
        return f"{self.server}, {self.number}"


class RelayTroubleQuerySet(models.QuerySet["RelayTrouble"]):
    def note(self, server: str, reason: str, next_probe_at: datetime) -> None:
        changes = {"reason": reason, "next_probe_at": next_probe_at}
        self.update_or_create(server=server[:255], defaults=changes)

    def clear(self, server: str) -> None:
        self.filter(server=server[:255]).delete()

    def current(self) -> "RelayTroubleQuerySet":
        """Return what somebody still probes; whoever noted the rest has died, or has another relay by now."""
        limit = timezone.now() - timedelta(seconds=settings.MAIL_OVERDUE)
        return self.filter(next_probe_at__gt=limit).order_by("since")


class RelayTrouble(models.Model):
    """A relay that takes no mail at the moment, and why."""

    server = models.CharField(max_length=255, unique=True)
    reason = models.TextField()
    since = models.DateTimeField(default=timezone.now)
    next_probe_at = models.DateTimeField()

    objects = RelayTroubleQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "relay trouble"

    def __str__(self) -> str:
        return (
            f"Mail has waited since {self.since:%Y-%m-%d %H:%M:%S %Z}: {self.reason} "
            f"Next probe at {self.next_probe_at:%H:%M:%S %Z}."
        )
