"""Keep to the database's time, and note the hours in which somebody delivers."""

import logging
import time
from datetime import datetime, timedelta

from flasky.mail.conf import conf
from flasky.mail.delivery.retries import LONGEST_PAUSE
from flasky.mail.models import HourlyCount, OutboxMessage
from flasky.mail.runtime import clock

logger = logging.getLogger(__name__)


class Timekeeper:
    """Look at the clock for whoever delivers, again and again."""

    def __init__(self) -> None:
        self._is_new = True
        self._was_ahead_until = float("-inf")  # on the monotonic clock
        self._noted: datetime | None = None

    def look(self) -> int:
        """Ask for the time; return how many messages are due now because a clock had been ahead.

        Another process may write by the time before until it asks, and end what it has begun. Nobody may have been
        there when the clock was set: a new process looks too.
        """
        if clock.measure() < 0:
            self._was_ahead_until = time.monotonic() + clock.TRUST + conf.MAIL_LEASE
        was_ahead = time.monotonic() < self._was_ahead_until
        found = 0
        if was_ahead or self._is_new:
            found = OutboxMessage.objects.bring_back(timedelta(0) if was_ahead else timedelta(seconds=LONGEST_PAUSE))
            self._is_new = False
        if found:
            logger.warning("%d messages waited for times that a clock had set which was ahead; they are due.", found)
        self._note_presence()
        return found

    def _note_presence(self) -> None:
        hour = clock.now().replace(minute=0, second=0, microsecond=0)
        if hour != self._noted:
            HourlyCount.objects.note_presence()
            self._noted = hour
