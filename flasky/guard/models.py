"""Count what is limited, for all processes together."""

from django.db import models


class Tally(models.Model):
    """How often something was done in one period; its key begins with the second at which the period ends."""

    key = models.CharField(max_length=80, primary_key=True)
    count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"
