"""One mail for each fault and hour, and one that says how often it has happened since.

The first mail leaves at once. What follows within the hour is counted in the database, by all processes together. When
the hour is over, whoever comes first tells the count: the next error of any kind, or the sweep of a process that
delivers. While neither comes, the count waits. What happens while the database is away is in the log only.
"""

import time
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.mail import mail_admins
from django.db import router, transaction

from flasky.faults.identity import Identity

LOOK_INTERVAL = 60  # s between two looks of a process for counts, besides those at each error

_look_at = 0.0  # on the monotonic clock


def tell(identity: Identity, mail: Callable[[], None]) -> None:
    """Note the fault, and call `mail` if it is time to tell of it; both or none."""
    faults = apps.get_model("faults", "Fault").objects
    with transaction.atomic(using=router.db_for_write(faults.model)):
        tell_counts()
        told = faults.note(identity)
        if told and told.key == identity.key:
            mail()
        elif told:
            _tell_that_there_are_more()


def tell_counts_now_and_then(**signal: Any) -> None:
    global _look_at
    if settings.ADMINS and time.monotonic() >= _look_at:
        _look_at = time.monotonic() + LOOK_INTERVAL
        with transaction.atomic(using=router.db_for_write(apps.get_model("faults", "Fault"))):
            tell_counts()


def tell_counts() -> None:
    """Tell by mail of each fault that has come back how often it has, once its hour is over."""
    for fault in apps.get_model("faults", "Fault").objects.take_counts():
        times = f"{fault.untold} more time{'s' if fault.untold > 1 else ''}"
        mail_admins(
            f"ERROR: {times}: {fault.title}",
            f"{fault.title}\n\nThis has happened {times} since the mail of {fault.told_at:%Y-%m-%d %H:%M} UTC. The log "
            f"has each of them.\n{_further()}",
        )


def _tell_that_there_are_more() -> None:
    limit = settings.ERROR_MAIL_LIMIT
    mail_admins(
        f"ERROR: more than {limit} different errors",
        f"Mails have told of {limit} different errors within {_interval()}. Those of other kinds are only counted; "
        f"the log has each of them.\n{_further()}",
    )


def _further() -> str:
    return f"If it goes on, the next mail comes in {_interval()}, with a count.\n"


def _interval() -> str:
    return f"{settings.ERROR_MAIL_INTERVAL / 60:g} min"
