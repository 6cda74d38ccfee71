"""A stored message: how it is claimed and given back, acted on, finished and pruned."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connections, models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from flasky.mail.models.claims import IN_TURN, Claims
from flasky.mail.models.decisions import Decisions
from flasky.mail.models.history import MAX_PERSON, Attempt
from flasky.mail.models.hourly import Tally
from flasky.mail.models.retention import Retention
from flasky.mail.models.states import FINISHED, Door, Priority, State

LOST_CLAIMS_UNTIL_HELD = 3
UNKNOWN_ENDS_UNTIL_HELD = 5  # so many copies may have arrived
MOST_COMPARED = 1000  # messages in one look for the one that has waited longest


# django-stubs gives each of them an as_manager() of its own.
class OutboxMessageQuerySet(Claims, Decisions, Retention, models.QuerySet["OutboxMessage"]):  # type: ignore[override]
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
