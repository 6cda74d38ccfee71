"""Remember which messages wait to be told of together in a digest, which digest they are in, and what it says of them.

A message that waits is queued for its deadline: what no digest takes until then leaves by itself.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Count, Max, Min, Q

from flasky.mail.conf import conf
from flasky.mail.models.one_database import InOneDatabase
from flasky.mail.runtime import clock

MOST_IN_A_DIGEST = 100  # messages: so many are some 80 kB of HTML, and Gmail cuts a mail off after 102 kB
CLOCKS_DIFFER = 60  # s at most, between two hosts; what is due much later was stored before a clock was put back
MOST_GROUPS = 1000  # in one look


class GatheredQuerySet(InOneDatabase["Gathered"]):
    def waiting(self) -> "GatheredQuerySet":
        return self.filter(digest=None)

    def waiting_in(self, group: str) -> tuple[datetime | None, int]:
        """Return the deadline of those that wait in the group, none without any, and how many there are."""
        found = self.waiting().filter(group_key=group).aggregate(deadline=Min("due_at"), number=Count("pk"))
        return found["deadline"], found["number"]

    def groups_to_end(self) -> list[str]:
        """Return those that a digest is to be made of now: soon due, full, or not to be gathered any more."""
        wait, now = timedelta(seconds=conf.MAIL_DIGEST_WAIT), clock.now()
        ahead = min(wait / 2, timedelta(seconds=2 * conf.MAIL_SWEEP_INTERVAL))  # so that the next look is not too late
        never = now + wait + timedelta(seconds=CLOCKS_DIFFER)
        groups: Any = self.waiting().values_list("group_key")
        groups = groups.annotate(first=Min("due_at"), last=Max("due_at"), number=Count("pk"))
        return [
            group
            for group, first, last, number in groups.order_by("first")[:MOST_GROUPS]
            if first <= now + ahead or last > never or number >= MOST_IN_A_DIGEST or not conf.MAIL_DIGEST_AFTER
        ]

    def count_between(self, about: Q, since: datetime, until: datetime) -> int:
        """Return how many of the messages that are `about` something were stored, and gathered, in that time."""
        return self.filter(about, created_at__gt=since, created_at__lt=until).count()

    def leave_to_people(self, messages: list[int]) -> None:
        """Let the messages wait for no digest any more: a person has decided about them."""
        self.waiting().filter(message__in=messages).delete()


class Gathered(models.Model):
    """A message that waits for a digest, or is in one."""

    message = models.OneToOneField("OutboxMessage", models.CASCADE, related_name="gathered")
    # None: it waits
    digest = models.ForeignKey("OutboxMessage", models.CASCADE, null=True, related_name="carried", db_index=False)
    group_key = models.CharField(
        max_length=64
    )  # of those that one digest may tell of: the same kind, envelope, language
    envelope = models.JSONField()  # of the digest: from_email, to, language
    says = models.JSONField()  # what the digest says of the message, as `digest=` gave it
    created_at = models.DateTimeField()  # the message's
    due_at = models.DateTimeField()  # the deadline: of the first in the group, MAIL_DIGEST_WAIT after it was stored

    objects = GatheredQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["digest", "due_at"], name="flasky_mail_digest"),
            models.Index(fields=["group_key", "digest"], name="flasky_mail_digest_group"),
            models.Index(fields=["created_at"], name="flasky_mail_digest_stored"),
        ]

    def __str__(self) -> str:
        return f"message {self.message_id}, in digest {self.digest_id or '(to come)'}"
