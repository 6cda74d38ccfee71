"""Mend times that a clock wrote when it was ahead: what waits for them would wait for days."""

from datetime import timedelta
from typing import Any

from django.db.models import F

from flasky.mail.models.batches import Batches
from flasky.mail.models.states import State
from flasky.mail.runtime import clock

SLACK = timedelta(seconds=clock.TOO_FAR)
AT_ONCE = timedelta(seconds=1)  # between a message's times if it is for no later one


class Misdated(Batches):
    def bring_back(self, longest_wait: timedelta) -> int:
        """Let be due now what was stored, or put off for longer than anything is, by a clock that was ahead.

        Return how many messages. What was to be sent at a time of its own waits for that.
        """
        now = clock.now()
        waiting = self.filter(state__in=State.waiting())
        stored = waiting.filter(created_at__gt=now + SLACK, queued_at__lte=F("created_at") + AT_ONCE)
        found = stored._redate(created_at=now, queued_at=now, next_attempt_at=now)
        put_off = self.filter(state=State.QUEUED, next_attempt_at__gt=now + longest_wait + SLACK, queued_at__lte=now)
        return found + put_off._redate(next_attempt_at=now)

    def _redate(self, **times: Any) -> int:
        return sum(self.filter(pk__in=batch).update(**times) for batch in self._batches())
