"""What was tried with a message, and what people did to it."""

from django.db import models
from django.utils import timezone

MAX_PERSON = 150  # characters


class Attempt(models.Model):
    """One try to deliver one message."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", "accepted"  # for every recipient that was tried
        REFUSED = "refused", "refused"  # for good, for every recipient that was tried
        PARTLY = "partly accepted", "partly accepted"  # not the same for all
        POSTPONED = "refused for now", "refused for now"
        UNKNOWN = "unknown", "unknown"  # handed over whole without a reply, or the holder died
        LATE = "too late", "too late"  # the reply came when somebody else had taken the message over

    message = models.ForeignKey("OutboxMessage", models.CASCADE, related_name="attempts")
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

    message = models.ForeignKey("OutboxMessage", models.CASCADE, related_name="actions")
    at = models.DateTimeField(default=timezone.now)
    verb = models.CharField(max_length=20, choices=Verb)
    person = models.CharField(max_length=MAX_PERSON, blank=True)
    other = models.BigIntegerField(null=True, blank=True)  # the number of the message that it was made from or into

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.get_verb_display()} by {self.person or 'somebody'}"
