"""Be polite: hand over no more messages a second than MAIL_RATE. Without this, mail leaves as fast as it can.

Whoever delivers reserves a permit for each message, a moment in a row of the database that all share and by its clock:
the generic cell rate algorithm (GCRA). Nobody saves up permits: what was not used in time is lost. So in any T seconds
at most MAIL_RATE * (T + LATE) messages and one for each connection begin to leave.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import Error as DatabaseFailure

from flasky.mail.conf import conf
from flasky.mail.db.connections import pause
from flasky.mail.db.write_lock import one_writer
from flasky.mail.models import Priority, Relay

AHEAD = 1  # s, for which permits are reserved before they come: several connections can work at the same time
SLACK = 60  # s; what is reserved for later than anybody reserves was so by a clock that was ahead
LATE = 1  # s after which a permit is lost: what was held up together must not leave together
LOOK_AGAIN = 0.3  # s, more or less, between two looks for a permit that is near enough


class Permits:
    """The right to hand over `count` messages, one every `step` seconds; with a step of 0 all of them now."""

    def __init__(
        self, count: int, server: str = "", step: float = 0, end: datetime | None = None, first: float = 0
    ) -> None:
        self.count = self._left = count
        self._server, self._step, self._end = server, step, end
        self._next = first  # on the monotonic clock

    def of(self, priorities: Iterable[str]) -> Iterable[str]:
        """Return the priorities to claim, of those that were due before the permits were waited for."""
        return tuple(Priority) if self._step else priorities  # something more urgent may have come meanwhile

    def wait(self, stop: Callable[[], bool]) -> bool:
        """Wait for the next permit; return False if there is none any more, or it is too late for it."""
        if not self._step:
            return True
        if not self._left or time.monotonic() - self._next > LATE:
            return False
        pause(self._next - time.monotonic(), stop)
        if stop():
            return False
        self._next += self._step
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Let others have what is left, if nobody has reserved the permits after them."""
        if self._end and self._left:
            with contextlib.suppress(DatabaseFailure), one_writer():  # then they are lost
                end = self._end - timedelta(seconds=self._left * self._step)
                Relay.objects.reserve(self._server, self._end, end)
            self._left = 0


def reserve(server: str, count: int, stop: Callable[[], bool]) -> Permits:
    """Reserve permits for up to `count` messages, and wait for the first one; there are none after `stop()`.

    They last no longer than about a second, so that nobody waits long with a claim.
    """
    rate = conf.MAIL_RATE
    if not rate:
        return Permits(count)
    count = min(count, int(rate * AHEAD) or 1)
    while not stop():
        free_at, now = Relay.objects.free_at(server)
        heard_at = time.monotonic()  # after the database's clock was read: a permit may come late, not early
        first, end = plan(free_at, now, count, rate)
        if first > AHEAD:
            pause(max(first - AHEAD, LOOK_AGAIN * random.uniform(0.5, 1.5)), stop)
            continue
        with one_writer():
            is_ours = Relay.objects.reserve(server, free_at, end)
        if is_ours:
            permits = Permits(count, server, 1 / rate, end, heard_at + first)
            if permits.wait(stop):
                return permits
            permits.give_back()
    return Permits(0)


def plan(free_at: datetime, now: datetime, count: int, rate: float) -> tuple[float, datetime]:
    """Return the seconds to the first of `count` permits, and when the next one after them is free."""
    is_misdated = free_at - now > timedelta(seconds=AHEAD + max(AHEAD, 1 / rate) + SLACK)
    first = now if is_misdated else max(free_at, now)
    return (first - now).total_seconds(), first + timedelta(seconds=count / rate)
