"""Reckon the end of a lease by the database's clock: the hosts' clocks may differ."""

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from flasky.mail.conf import conf


def end_of_lease() -> Any:
    return Now() + timedelta(seconds=conf.MAIL_LEASE)
