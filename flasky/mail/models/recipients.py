"""Keep the recipients beyond the first, so that an index finds their messages."""

from django.db import models

from flasky.mail.models.message import OutboxMessage


class FurtherRecipient(models.Model):
    """A recipient beyond the first, so that an index finds the message; most messages have none."""

    message = models.ForeignKey(OutboxMessage, models.CASCADE, related_name="+")
    address = models.CharField(max_length=254)  # in lower case
    created_at = models.DateTimeField()  # the message's: the newest messages are found without reading the others

    class Meta:
        indexes = [models.Index(fields=["address", "created_at"], name="outbox_further_recipient")]

    def __str__(self) -> str:
        return self.address
