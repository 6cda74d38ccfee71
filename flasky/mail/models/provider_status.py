"""Store what a provider's API has said about each recipient, and under which id it knows the mail."""

from django.db import models

from flasky.mail.models.one_database import InOneDatabase
from flasky.mail.runtime import clock

MAX_PROVIDER, MAX_PROVIDER_ID, MAX_STATUS = 50, 255, 20  # characters


class ProviderStatusQuerySet(InOneDatabase["ProviderStatus"]):
    pass


class ProviderStatus(models.Model):
    """A provider's status for one recipient after one attempt; a mail by SMTP has none."""

    message = models.ForeignKey("OutboxMessage", models.CASCADE, related_name="provider_statuses")
    address = models.CharField(max_length=320)  # as in the message's recipients
    provider = models.CharField(max_length=MAX_PROVIDER)  # as Anymail calls it
    provider_id = models.CharField(max_length=MAX_PROVIDER_ID, blank=True)  # by which its events speak of the mail
    status = models.CharField(max_length=MAX_STATUS)  # in Anymail's words: sent, queued, rejected, …
    at = models.DateTimeField(default=clock.now)

    objects = ProviderStatusQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["provider_id"], name="flasky_mail_provider_id")]

    def __str__(self) -> str:
        return f"{self.provider}: {', '.join(filter(None, [self.status, self.provider_id]))}"
