"""Store a message: its fields and its indexes."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from flasky.mail.conf import conf
from flasky.mail.models.claims import IN_TURN, Claimed, Claims
from flasky.mail.models.decisions import Decisions
from flasky.mail.models.history import MAX_ACTOR
from flasky.mail.models.misdated import Misdated
from flasky.mail.models.recipients import ByRecipient
from flasky.mail.models.restored import Restored
from flasky.mail.models.retention import Retention
from flasky.mail.models.states import Priority, State
from flasky.mail.runtime import clock

MAX_SOURCE = 100  # characters
MAX_REQUEST_ID = 64  # characters
MOST_COMPARED = 1000  # messages in one look for the one that has waited longest
COUNT_SINCE = """
SELECT COUNT(*) FROM (
    SELECT 1 AS one FROM flasky_mail_outboxmessage WHERE created_at >= %s AND kind = %s LIMIT %s
) AS counted
"""


# django-stubs gives each of them an as_manager() of its own.
class OutboxMessageQuerySet(  # type: ignore[override]
    Claims, Decisions, Retention, Misdated, Restored, ByRecipient, models.QuerySet["OutboxMessage"]
):
    def unfinished(self) -> "OutboxMessageQuerySet":
        """Return what is queued, the first due first, and then what is being sent; read in the index's own order."""
        # One range instead of two values: only then does every database stop after the first few rows.
        return self.filter(state__range=(State.QUEUED, State.SENDING)).order_by("state", *IN_TURN)

    def overdue(self) -> "OutboxMessageQuerySet":
        """Return what has been due for longer than MAIL_OVERDUE seconds, the oldest first."""
        limit = clock.now() - timedelta(seconds=conf.MAIL_OVERDUE)
        return self.filter(state=State.QUEUED, next_attempt_at__lt=limit).order_by("next_attempt_at")

    def due_later(self) -> "OutboxMessageQuerySet":
        return self.filter(state=State.QUEUED, next_attempt_at__gt=clock.now())

    def waits_longest(self) -> tuple[datetime, int] | None:
        """Return since when the one of these has waited that has waited longest, and its key; None if none has.

        What waits for a time of its own has not waited yet. Only the first MOST_COMPARED to be due are compared: that
        is quick, and what waits for a retry is due before what is to be sent next week.
        """
        due_first = self.order_by("next_attempt_at").values_list("queued_at", "pk")[:MOST_COMPARED]
        now = clock.now()
        return min(((since, key) for since, key in due_first if since <= now), default=None)

    def next_attempt_after(self, moment: datetime) -> datetime | None:
        """Return when the first message that is not due at `moment` will be; None if none waits for a later time."""
        later = self.filter(state=State.QUEUED, next_attempt_at__gt=moment)
        return later.aggregate(first=models.Min("next_attempt_at"))["first"]

    def count_since(self, kind: str, moment: datetime, most: int) -> int:
        """Return how many of a kind were stored since, and no more than `most`.

        Past the ORM: a visitor's transaction asks this, and to compile it takes ten times as long as to count.
        """
        connection: Any = connections[self.db]
        with connection.cursor() as cursor:
            cursor.execute(COUNT_SINCE, [connection.ops.adapt_datetimefield_value(moment), kind, most])
            return int(cursor.fetchone()[0])


class OutboxMessage(Claimed, models.Model):
    """A mail in wire form, and what became of it."""

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    created_at = models.DateTimeField(_("stored at"), default=clock.now)
    queued_at = models.DateTimeField(_("age counts from"), default=clock.now)
    next_attempt_at = models.DateTimeField(default=clock.now)
    priority = models.CharField(max_length=10, choices=Priority, default=Priority.NORMAL)
    finished_at = models.DateTimeField(null=True, blank=True)

    claim_token = models.UUIDField(null=True, blank=True)
    claimed_by = models.CharField(max_length=255, blank=True)  # host, process, thread
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    lost_claims = models.PositiveSmallIntegerField(default=0)  # in a row, whose holders were not heard of again
    unknown_ends = models.PositiveSmallIntegerField(default=0, db_default=0)  # attempts in a row, lost claims too
    attempt_count = models.PositiveIntegerField(_("attempts"), default=0)
    last_reply = models.TextField(blank=True)
    possible_duplicate = models.BooleanField(default=False)

    # For listing and searching; the content says the same.
    message_id = models.CharField(_("Message-ID"), max_length=255)
    from_header = models.TextField(_("from"))
    subject = models.TextField(blank=True)

    envelope_sender = models.CharField(max_length=320, blank=True)
    recipients = models.JSONField(default=list)  # envelope addresses: To, Cc and Bcc
    outcomes = models.JSONField(default=dict)  # address → {"accepted": bool, "reply": str}, once it is final
    content = models.BinaryField()  # RFC 5322, CRLF line ends
    as_given = models.JSONField(null=True, blank=True)  # the email, if the content does not say all of it: wire/given
    provider_options = models.JSONField(default=dict, blank=True)  # Anymail's attributes: tags, metadata, …

    first_recipient = models.CharField(max_length=254, blank=True)  # in lower case, for searching; see FurtherRecipient
    kind = models.CharField(max_length=100, blank=True)  # of mail: the name of its template
    # Its body is shown to nobody, and dropped once it is sent; as MAIL_SENSITIVE_KINDS said when it was stored.
    is_sensitive = models.BooleanField(default=False, db_default=False)
    cause = models.CharField(max_length=100, blank=True)  # the object that it is about, as cause_of() names it
    source = models.CharField(max_length=MAX_SOURCE, blank=True)  # one of Source, or the name of a route
    actor = models.CharField(max_length=MAX_ACTOR, blank=True)  # who caused it there, if known
    request_id = models.CharField(max_length=MAX_REQUEST_ID, blank=True)  # of the request that stored it

    objects = OutboxMessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        permissions = [("open_outboxmessage", "Can open the content of messages")]
        indexes = [
            models.Index(fields=["state", "next_attempt_at"], name="flasky_mail_due"),
            # With the key, so that it alone has a claim's order: otherwise PostgreSQL may take the index above, and
            # read all that is due of the other priorities.
            models.Index(fields=["state", "priority", "next_attempt_at", "id"], name="flasky_mail_turn"),
            # Not db_index: on PostgreSQL that makes a second one, for LIKE, and every message is written three times.
            models.Index(fields=["message_id"], name="flasky_mail_message_id"),
            # With the key, so that it alone has the list's order; with the rest, so that SQLite need not read past the
            # contents of 10,000 messages to find those of a kind or a source.
            models.Index(fields=["created_at", "id", "kind", "source"], name="flasky_mail_stored"),
            models.Index(fields=["state", "created_at"], name="flasky_mail_state_stored"),
            models.Index(fields=["first_recipient", "created_at"], name="flasky_mail_recipient"),
            models.Index(fields=["cause", "created_at"], name="flasky_mail_cause"),
            models.Index(
                fields=["created_at"], name="flasky_mail_duplicate", condition=models.Q(possible_duplicate=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject or gettext('(no subject)')} ({self.get_state_display().lower()})"

    @property
    def is_finished(self) -> bool:
        return self.state in State.finished()

    @property
    def is_pruned(self) -> bool:
        return not self.content

    @property
    def remaining_recipients(self) -> list[str]:
        """The recipients that no relay has accepted or refused for good yet."""
        return [address for address in self.recipients if address not in self.outcomes]

    def wait(self, timeout: float = 10) -> str:
        """Wait up to `timeout` seconds until the message is finished or held; return its state.

        Raise RuntimeError inside a transaction: nobody delivers what is not committed.
        """
        if connections[self._state.db or "default"].in_atomic_block:
            raise RuntimeError("wait() was called inside a transaction: commit first, nobody else can see the message.")
        deadline, pause = time.monotonic() + timeout, 0.01  # s
        while True:
            outcome = ["state", "last_reply", "attempt_count", "finished_at", "outcomes"]
            self.refresh_from_db(using=self._state.db, fields=outcome)  # not from a copy that may lag behind
            if self.state not in State.waiting() or time.monotonic() >= deadline:
                return self.state
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(pause * 2, 0.25)
