"""Store the attempts at a message, and the actions of people on it."""

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from flasky.mail.models.one_database import InOneDatabase
from flasky.mail.runtime import clock

MAX_ACTOR = 150  # characters


# Named, and not InOneDatabase.as_manager(): with a cache of an earlier run mypy takes that for no manager.
class AttemptQuerySet(InOneDatabase["Attempt"]):
    pass


class ActionQuerySet(InOneDatabase["Action"]):
    pass


class Attempt(models.Model):
    """One try to deliver one message."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")  # for every recipient that was tried
        PARTLY = "partly", _("partly accepted")  # not the same for all
        REFUSED = "refused", _("refused")  # for good, for every recipient that was tried
        POSTPONED = "postponed", _("refused for now")
        UNKNOWN = "unknown", _("unknown")  # handed over whole without a reply, or the holder died
        LATE = "late", _("too late")  # the reply came when somebody else had taken the message over

    message = models.ForeignKey("OutboxMessage", models.CASCADE, related_name="attempts")
    started_at = models.DateTimeField(default=clock.now)
    seconds = models.FloatField(default=0)
    outcome = models.CharField(max_length=20, choices=Outcome)
    reply = models.TextField(blank=True)
    server = models.CharField(max_length=255, blank=True)
    secured = models.BooleanField(default=False)
    logged_in = models.BooleanField(default=False)
    worker = models.CharField(max_length=255, blank=True)  # host, process, thread
    claim_token = models.UUIDField(null=True, blank=True)  # of the claim whose holder wrote this

    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"attempt of {self.started_at:%Y-%m-%d %H:%M:%S}"


class Action(models.Model):
    """What a person did to a message."""

    class Verb(models.TextChoices):
        REQUEUED = "requeued", _("requeued")
        TRIED_NOW = "tried_now", _("tried now")  # what waits for its time, or for the relay
        RELEASED = "released", _("released")  # from being held
        HELD = "held", _("held")
        CANCELLED = "cancelled", _("cancelled")
        SENT_AGAIN = "sent_again", _("sent again as a new message")
        COPIED = "copied", _("made from another message")
        FORWARDED = "forwarded", _("forwarded")
        RESTORED = "restored", _("put back from a copy")  # of the database: it may have left since
        OPENED = "opened", _("opened")  # its content was shown, or downloaded

    message = models.ForeignKey("OutboxMessage", models.CASCADE, related_name="actions")
    at = models.DateTimeField(default=clock.now)
    verb = models.CharField(max_length=20, choices=Verb)
    actor = models.CharField(max_length=MAX_ACTOR, blank=True)
    other = models.BigIntegerField(null=True, blank=True)  # the number of the message that it was made from or into

    objects = ActionQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        values = {"verb": self.get_verb_display(), "person": self.actor or gettext("somebody")}
        return gettext("%(verb)s by %(person)s") % values
