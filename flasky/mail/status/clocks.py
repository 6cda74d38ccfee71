"""Say which hosts' clocks differ from the database's, by which mail goes."""

from collections.abc import Iterable

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.models import Process
from flasky.mail.runtime import clock
from flasky.mail.runtime.identity import host_of, this_process
from flasky.mail.status.written import number

ADVICE = gettext_lazy(
    "Mail goes by the database's and is not late for that, but logs mislead. Let NTP keep both clocks; timedatectl "
    "shows whether it does."
)


def seconds_ahead(processes: Iterable[Process]) -> dict[str, float]:
    """Return for each host of these processes, and for this one, by how much its clock is ahead of the database's."""
    here = {host_of(this_process()): clock.ahead()}
    return here | {host_of(process.name): process.clock_ahead for process in processes}


def wrong_clocks(processes: Iterable[Process]) -> list[str]:
    """Return for each clock that differs by more than it may by how much."""
    ahead = _("The clock of %(host)s is %(seconds)s s ahead of the database's.")
    behind = _("The clock of %(host)s is %(seconds)s s behind the database's.")
    return [
        (ahead if seconds > 0 else behind) % {"host": host, "seconds": number(round(abs(seconds)))}
        for host, seconds in sorted(seconds_ahead(processes).items())
        if abs(seconds) > clock.TOO_FAR
    ]
