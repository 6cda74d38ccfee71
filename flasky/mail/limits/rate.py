"""Hand over no more messages a second than MAIL_RATE allows, all processes together.

Whoever delivers reserves a moment for each message, in a row of the database that all share and by its clock. Nobody
saves up moments: what was not used in time is lost. So in any T seconds at most MAIL_RATE * (T + LATE) messages and one
for each connection begin to leave.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseFailure

from flasky.mail.db.connections import pause
from flasky.mail.db.write_lock import one_writer
from flasky.mail.models import Priority, Relay

AHEAD = 1  # s, for which moments are reserved before they come: several connections can work at the same time
LATE = 1  # s after which a moment is lost: what was held up together must not leave together
LOOK_AGAIN = 0.3  # s, more or less, between two looks for a moment that is near enough


class Unlimited:
    """As many moments as messages, all of them now."""

    def __init__(self, count: int) -> None:
        self.count = count

    def of(self, priorities: Iterable[str]) -> Iterable[str]:
        """Return the priorities to claim, of those that were due before the moments were waited for."""
        return priorities

    def wait(self, stop: Callable[[], bool]) -> bool:
        return True

    def give_back(self) -> None:
        pass


class Moments(Unlimited):
    """Moments in a row that are reserved for one message each."""

    def __init__(self, server: str, count: int, step: float, end: datetime, first: float) -> None:
        super().__init__(count)
        self._server, self._step, self._end = server, step, end
        self._next = first  # on the monotonic clock
        self._left = count

    def of(self, priorities: Iterable[str]) -> Iterable[str]:
        return tuple(Priority)  # something more urgent may have come meanwhile

    def wait(self, stop: Callable[[], bool]) -> bool:
        """Wait for the next moment; return False if there is none any more, or it is too late for it."""
        if not self._left or time.monotonic() - self._next > LATE:
            return False
        pause(self._next - time.monotonic(), stop)
        if stop():
            return False
        self._next += self._step
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Let others have what is left, if nobody has reserved the moments after them."""
        if self._left:
            with contextlib.suppress(DatabaseFailure), one_writer():  # then they are lost
                end = self._end - timedelta(seconds=self._left * self._step)
                Relay.objects.reserve(self._server, self._end, end)
            self._left = 0


def reserve(server: str, count: int, stop: Callable[[], bool]) -> Unlimited:
    """Reserve moments for up to `count` messages, and wait for the first one; there are none after `stop()`.

    They last no longer than about a second, so that nobody waits long with a claim.
    """
    rate = settings.MAIL_RATE
    if not rate:
        return Unlimited(count)
    count = min(count, int(rate * AHEAD) or 1)
    while not stop():
        free_at, now = Relay.objects.free_at(server)
        heard_at = time.monotonic()  # after the database's clock was read: a moment may come late, not early
        first, end = plan(free_at, now, count, rate)
        if first > AHEAD:
            pause(max(first - AHEAD, LOOK_AGAIN * random.uniform(0.5, 1.5)), stop)
            continue
        with one_writer():
            is_ours = Relay.objects.reserve(server, free_at, end)
        if is_ours:
            moments = Moments(server, count, 1 / rate, end, heard_at + first)
            if moments.wait(stop):
                return moments
            moments.give_back()
    return Unlimited(0)


def plan(free_at: datetime, now: datetime, count: int, rate: float) -> tuple[float, datetime]:
    """Return the seconds to the first of `count` moments, and when the next one after them is free."""
    first = max(free_at, now)
    return (first - now).total_seconds(), first + timedelta(seconds=count / rate)
