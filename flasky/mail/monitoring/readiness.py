"""Answer at /readyz whether this process can do its work."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from django.db import Error as DatabaseFailure
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from flasky.mail.conf import conf
from flasky.mail.db.connections import drop_connection
from flasky.mail.db.outages import known_fault, what_is_wrong
from flasky.mail.models import OutboxMessage, Process, RelayOutage, WriteProbe
from flasky.mail.runtime import clock, deadline
from flasky.mail.runtime.identity import this_process

logger = logging.getLogger(__name__)

MIGRATIONS_NAMED = 3

_is_migrated = False  # asked until it is so


class Readiness(NamedTuple):
    """Sentences that anybody may read: they name no host, no address and no reply."""

    problems: list[str]
    remarks: list[str]


def readyz(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer before the middleware that looks at hosts and TLS: a load balancer probes by IP address, without TLS."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path != "/readyz":
            return get_response(request)
        found = readiness()
        lines = [*(found.problems or ["ok"]), *found.remarks, ""]
        response = HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")
        response.status_code = 503 if found.problems else 200
        response["Cache-Control"] = "no-store"
        return response

    return middleware


def readiness() -> Readiness:
    try:
        return _look.answer()
    except deadline.DatabaseIsSilent:
        limit = deadline.TIME_LIMIT
        return _not_ready(f"The database has not answered within {limit} s. Look at it, and at the network between.")
    except deadline.NoThread as error:
        logger.warning("Not ready: %s", error)
        return _not_ready(
            "This process can start no thread. Raise its limit of threads or memory: ulimit -u, the container's pids "
            "limit, TasksMax."
        )
    except DatabaseFailure as error:
        logger.warning("Not ready: %s", error)
        if fault := known_fault(error):  # from a full disk SQLite cannot even be read
            return _not_ready(f"The database cannot be used: {fault}")
        return _not_ready(
            f"The database cannot be used ({type(error).__name__}). Look at this process's log, and at DATABASE_URL."
        )


def _readiness() -> Readiness:
    try:
        return _missing_migrations() or _joined(_late_mail(), _stuck_processes(), _wrong_clock(), _refused_write())
    except DatabaseFailure:
        drop_connection()
        raise


_look = deadline.SingleFlight(_readiness)


def _missing_migrations() -> Readiness | None:
    global _is_migrated
    if _is_migrated:
        return None
    executor = MigrationExecutor(connections[router.db_for_write(OutboxMessage)])
    missing = [str(migration) for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())]
    _is_migrated = not missing
    if _is_migrated:
        return None
    named = ", ".join(missing[:MIGRATIONS_NAMED]) + (", …" if len(missing) > MIGRATIONS_NAMED else "")
    are = "migration is" if len(missing) == 1 else "migrations are"
    return _not_ready(f"{len(missing)} {are} not applied: {named}. Run manage.py migrate.")


def _stuck_processes() -> Readiness:
    """Complain if this process is one of those that live and deliver nothing; of others only tell."""
    names = set(Process.objects.stuck().values_list("name", flat=True))
    if not names or RelayOutage.objects.for_all().exists():
        return Readiness([], [])
    if this_process() in names:
        return _not_ready(
            "This process has mail to deliver, and its threads get nowhere. Restart it; its log may say why."
        )
    are = "process gets" if len(names) == 1 else "processes get"
    return Readiness([], [f"{len(names)} other {are} nowhere with the mail; the admin's outbox says which."])


def _wrong_clock() -> Readiness:
    """Tell of this host's clock; mail goes by the database's, so that the host works all the same."""
    clock.measure()
    if abs(clock.ahead()) <= clock.TOO_FAR:
        return Readiness([], [])
    side = "ahead of" if clock.ahead() > 0 else "behind"
    remark = f"This host's clock is {abs(clock.ahead()):.0f} s {side} the database's. Let NTP keep both."
    return Readiness([], [remark])


def _refused_write() -> Readiness:
    """Complain about a database that can be read, as it just was, but not written to."""
    try:
        WriteProbe.objects.write()
    except DatabaseFailure as error:
        logger.warning("Not ready: %s", error)
        drop_connection()
        return _not_ready(f"The database can be read, but takes no write: {what_is_wrong(error)}")
    return Readiness([], [])


def _late_mail() -> Readiness:
    """Complain about mail that has been due for too long, unless the relay is away.

    No web server is to blame for a relay, and none gets better by being taken away.
    """
    limit, now = conf.MAIL_READY_AGE, clock.now()
    late = OutboxMessage.objects.due().filter(next_attempt_at__lt=now - timedelta(seconds=limit))
    oldest = late.order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    if not limit or oldest is None:
        return Readiness([], [])
    waited = f"The oldest due mail has waited for {(now - oldest).total_seconds():.0f} s (MAIL_READY_AGE is {limit})."
    if RelayOutage.objects.for_all().exists():
        return Readiness([], [f"{waited} The mail server takes no mail; the admin's outbox says why."])
    return _not_ready(
        f"{waited} Nobody delivers, or not fast enough: look at the processes that deliver; "
        "manage.py check --database default says more."
    )


def _joined(*found: Readiness) -> Readiness:
    return Readiness([each for one in found for each in one.problems], [each for one in found for each in one.remarks])


def _not_ready(problem: str) -> Readiness:
    return Readiness([problem], [])
