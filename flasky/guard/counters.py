"""Count for ever, for all processes on all hosts together: what a process counts by itself ends with it."""

from django.db import connections, router

from flasky.guard.deadlocks import despite_deadlocks
from flasky.guard.models import Tally
from flasky.mail.db import sql

NEVER_OVER = "9999999999"  # the second at which the period of such a count ends


def add(name: str) -> None:
    connection = connections[router.db_for_write(Tally)]
    despite_deadlocks(lambda: sql.add(Tally, {"key": _key(name)}, {"count": 1}, connection), connection)


def read(name: str) -> int:
    return Tally.objects.filter(pk=_key(name)).values_list("count", flat=True).first() or 0


def _key(name: str) -> str:
    return f"{NEVER_OVER}-{name}"
