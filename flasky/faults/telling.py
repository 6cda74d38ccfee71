"""Send one mail for each fault and hour, and one that says how often it has happened since.

The first mail leaves at once. What follows within the hour is counted in the database, by all processes together. When
the hour is over, whoever comes first tells the count: the next error of any kind, or the sweep of a process that
delivers. While neither comes, the count waits. What happens while the database is away is in the log only.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.mail import mail_admins
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from flasky.faults.identity import Identity
from flasky.guard.deadlocks import despite_deadlocks

LOCK_TIMEOUT = 5  # s to wait for the row of a fault; then it is in the log only
LOOK_INTERVAL = 60  # s between two looks of a process for counts, besides those at each error

_look_at = 0.0  # on the monotonic clock


def tell(identity: Identity, mail: Callable[[], None]) -> None:
    """Note the fault, and call `mail` if it is time to tell of it; both or none."""
    connection = connections[router.db_for_write(apps.get_model("faults", "Fault"))]
    with _waiting_only_briefly(connection):
        despite_deadlocks(lambda: _tell_once(identity, mail), connection)


def _tell_once(identity: Identity, mail: Callable[[], None]) -> None:
    faults = apps.get_model("faults", "Fault").objects
    with transaction.atomic(using=router.db_for_write(faults.model)):
        tell_counts()
        told = faults.note(identity)
        if told and told.key == identity.key:
            mail()
        elif told:
            _tell_that_there_are_more()


@contextmanager
def _waiting_only_briefly(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Bound the wait for a row that somebody else holds, who may be cut off; inside a transaction it is not ours."""
    names = {"postgresql": "lock_timeout", "mysql": "innodb_lock_wait_timeout"}
    name = names.get(connection.vendor)
    if name is None or connection.in_atomic_block:
        yield
        return
    unit = 1000 if connection.vendor == "postgresql" else 1  # ms, s
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION {name} = {LOCK_TIMEOUT * unit}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {name} = DEFAULT")


def tell_counts_now_and_then(**signal: Any) -> None:
    global _look_at
    if settings.ADMINS and time.monotonic() >= _look_at:
        _look_at = time.monotonic() + LOOK_INTERVAL
        with transaction.atomic(using=router.db_for_write(apps.get_model("faults", "Fault"))):
            tell_counts()


def tell_counts() -> None:
    """Tell by mail of each fault that has come back how often it has, once its hour is over."""
    for fault in apps.get_model("faults", "Fault").objects.take_counts():
        values = {"count": fault.untold, "title": fault.title, "moment": f"{fault.told_at:%Y-%m-%d %H:%M} UTC"}
        with translation.override(settings.LANGUAGE_CODE):  # whatever the page speaks that has failed now
            subject = ngettext(
                "ERROR: %(count)s more time: %(title)s", "ERROR: %(count)s more times: %(title)s", fault.untold
            )
            sentence = ngettext(
                "This has happened %(count)s more time since the mail of %(moment)s. The log has each of them.",
                "This has happened %(count)s more times since the mail of %(moment)s. The log has each of them.",
                fault.untold,
            )
            mail_admins(subject % values, f"{fault.title}\n\n{sentence % values}\n{_further()}")


def _tell_that_there_are_more() -> None:
    values = {"count": settings.ERROR_MAIL_LIMIT, "minutes": _minutes()}
    with translation.override(settings.LANGUAGE_CODE):
        subject = _("ERROR: more than %(count)s different errors") % values
        sentence = _(
            "Mails have told of %(count)s different errors within %(minutes)s min. Those of other kinds are only "
            "counted; the log has each of them."
        )
        mail_admins(subject, f"{sentence % values}\n{_further()}")


def _further() -> str:
    sentence = _("If it goes on, the next mail comes in %(minutes)s min, with a count.")
    return f"{sentence % {'minutes': _minutes()}}\n"


def _minutes() -> str:
    return f"{settings.ERROR_MAIL_INTERVAL / 60:g}"
