"""Until when something is held, by the database's clock: the hosts' clocks may differ."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models.functions import Now


def end_of_lease() -> Any:
    return Now() + timedelta(seconds=settings.MAIL_LEASE)
