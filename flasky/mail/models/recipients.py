"""Find messages by their recipients: the first, which the row has, or the others, which have rows of their own."""

from datetime import datetime
from typing import Any, TypeVar

from django.db import models

from flasky.mail.models.one_database import InOneDatabase

Chosen = TypeVar("Chosen", bound=models.QuerySet[Any, Any])


class ByRecipient(InOneDatabase[Any]):
    def to(self: Chosen, address: str) -> Chosen:
        """Return the messages to this address, which is in lower case as it is stored for searching."""
        further = FurtherRecipient.objects.filter(address=address).values("message_id")
        return self.filter(models.Q(first_recipient=address) | models.Q(pk__in=further))

    def newest_to(self, address: str, most: int, when: models.Q) -> set[tuple[datetime, int]]:
        """Return the times and keys of at least the newest `most` messages of to(), stored as `when` says.

        For a page that may look at a million: no database finds the messages of two indexes quickly by one query.
        """
        first = self.filter(when, first_recipient=address).values_list("created_at", "pk")
        further = FurtherRecipient.objects.filter(when, address=address).values_list("created_at", "message_id")
        return {*first.order_by("-created_at")[:most], *further.order_by("-created_at")[:most]}


class FurtherRecipientQuerySet(InOneDatabase["FurtherRecipient"]):
    pass


class FurtherRecipient(models.Model):
    """A recipient beyond the first, so that an index finds the message; most messages have none."""

    message = models.ForeignKey("OutboxMessage", models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)  # in lower case
    created_at = models.DateTimeField()  # the message's: the newest messages are found without reading the others

    objects = FurtherRecipientQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["address", "created_at"], name="flasky_mail_further_recipient")]

    def __str__(self) -> str:
        return self.address
