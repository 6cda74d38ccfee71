"""What is said about a message in one word."""

from django.db import models


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
