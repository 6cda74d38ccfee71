"""Remember which messages were stored beyond the mail budget, why, and when it let them go."""

from datetime import datetime

from django.db import models
from django.db.models import Count, Q

from flasky.mail.conf import conf
from flasky.mail.models.one_database import InOneDatabase
from flasky.mail.runtime import clock


class OverBudgetQuerySet(InOneDatabase["OverBudget"]):
    def waiting(self) -> "OverBudgetQuerySet":
        return self.filter(released_at=None)

    def seconds_to_room(self) -> int:
        """Return how long a caller should wait while as many are held as MAIL_BUDGET_HELD allows; 0 if there is room.

        It is the shortest time after which the budget lets some of them go.
        """
        most = conf.MAIL_BUDGET_HELD
        if not most or not self.waiting()[most - 1 : most].exists():
            return 0
        return self.waiting().aggregate(shortest=models.Min("seconds"))["shortest"] or 0

    def held_and_released(self, about: Q, since: datetime, until: datetime) -> tuple[int, int]:
        """Return how many of the messages that are `about` something were stored, and let go, in between."""
        held = Q(created_at__gt=since, created_at__lte=until)
        released = Q(released_at__gt=since, released_at__lte=until)
        counts = (
            self.filter(held | released)
            .filter(about)
            .aggregate(held=Count("pk", filter=held), released=Count("pk", filter=released & Q(is_decided=False)))
        )
        return counts["held"], counts["released"]

    def note_release(self, messages: list[int]) -> None:
        self.filter(message__in=messages, released_at=None).update(released_at=clock.now())

    def leave_to_people(self, messages: list[int]) -> None:
        """Let the messages wait no longer for the budget, nor count for it: a person has decided about them."""
        self.filter(message__in=messages, released_at=None).update(released_at=clock.now(), is_decided=True)


class OverBudget(models.Model):
    """A message beyond the budget: it is held until a person, or the budget, lets it go."""

    message = models.OneToOneField("OutboxMessage", models.CASCADE, related_name="over_budget")
    share = models.CharField(max_length=10)  # the part of the budget that was used up: the end of a setting's name
    most = models.PositiveIntegerField()  # messages
    seconds = models.PositiveIntegerField()  # in which so many were allowed
    created_at = models.DateTimeField(db_index=True)  # the message's
    released_at = models.DateTimeField(null=True, blank=True, db_index=True)  # when it waited no longer
    is_decided = models.BooleanField(default=False)  # by a person, and not by the budget

    objects = OverBudgetQuerySet.as_manager()

    def __str__(self) -> str:
        return f"more than {self.most} in {self.seconds} s ({self.setting})"

    @property
    def setting(self) -> str:
        return f"MAIL_BUDGET_{self.share.upper()}"
