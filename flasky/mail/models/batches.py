"""Take many messages in batches, each for one short transaction."""

from collections.abc import Iterator
from typing import Any, TypeVar

from django.db import models

from flasky.mail.models.one_database import InOneDatabase

BATCH = 1000  # messages in one short transaction: others must be able to write in between

Chosen = TypeVar("Chosen", bound=models.QuerySet[Any, Any])


class Batches(InOneDatabase[Any]):
    def with_body(self: Chosen) -> Chosen:
        return self.exclude(content=b"")

    def _batches(self) -> Iterator[list[int]]:
        # The ids first: MariaDB deletes and updates nothing that a subquery with LIMIT on the same table selects.
        last = 0
        while batch := list(self.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            yield batch
            last = batch[-1]
