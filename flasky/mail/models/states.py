"""List the states, sources and priorities of a message."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    """In which state a message is, and what that means; whoever asks for several states asks here."""

    QUEUED = "queued", _("Queued")  # waits, and is due once next_attempt_at has come
    SENDING = "sending", _("Sending")  # claimed; its holder's lease runs until lease_expires_at
    SENT = "sent", _("Sent")  # accepted for at least one recipient, and nobody is left to try
    FAILED = "failed", _("Failed")  # refused for good, or given up
    HELD = "held", _("Held")  # kept back until a person decides
    CANCELLED = "cancelled", _("Cancelled")  # given up by hand
    GATHERED = "gathered", _("In a digest")  # told of in another message, whose state says what became of that

    @classmethod
    def waiting(cls) -> tuple["State", ...]:
        """Return those in which whoever delivers has something left to do.

        `unfinished()` reads them as a range of the alphabet, so no other name may come between them.
        """
        return cls.QUEUED, cls.SENDING

    @classmethod
    def finished(cls) -> tuple["State", ...]:
        """Return those in which nothing more happens by itself, so that old messages may be pruned."""
        return cls.SENT, cls.FAILED, cls.CANCELLED, cls.GATHERED

    @classmethod
    def not_finished(cls) -> tuple["State", ...]:
        return tuple(state for state in cls if state not in cls.finished())

    @classmethod
    def needing_a_person(cls) -> tuple["State", ...]:
        """Return those to which a message comes against everybody's will, and out of which a person must help it."""
        return cls.FAILED, cls.HELD

    @classmethod
    def for_requeue(cls) -> tuple["State", ...]:
        """Return those out of which a person may requeue a message; the functions below say the same of other verbs."""
        return cls.FAILED, cls.HELD, cls.CANCELLED

    @classmethod
    def for_try_now(cls) -> tuple["State", ...]:
        return (cls.QUEUED,)

    @classmethod
    def for_hold(cls) -> tuple["State", ...]:
        return (cls.QUEUED,)

    @classmethod
    def for_release(cls) -> tuple["State", ...]:
        return (cls.HELD,)

    @classmethod
    def for_cancel(cls) -> tuple["State", ...]:
        return cls.QUEUED, cls.HELD


class Source(models.TextChoices):
    """Where a mail came from, as far as the app can tell; from another page it is the name of the page's route."""

    ADMIN = "admin", _("the admin")
    COMMAND = "sendtestemail", "manage.py sendtestemail"
    DIGEST = "digest", _("a digest")
    UNKNOWN = "", _("elsewhere")  # the shell, another command, a thread


class Priority(models.TextChoices):
    """What overtakes what, the most urgent first."""

    URGENT = "urgent", _("Urgent")  # somebody waits for it: a password reset
    NORMAL = "normal", _("Normal")
    BULK = "bulk", _("Bulk")  # newsletters
