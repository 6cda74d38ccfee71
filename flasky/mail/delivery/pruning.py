"""Prune old messages once a day, in one of the processes that deliver, beside its deliveries."""

import logging
import threading
import time

from django.db import connections

from flasky.mail.conf import conf
from flasky.mail.models import DailyTask, OutboxMessage
from flasky.mail.runtime import clock

logger = logging.getLogger(__name__)

TASK = "prune"
LOOK_INTERVAL = 600  # s between two looks of a process whether it is its turn
BREATH = 0.05  # s between two batches, in which others can write
A_DAY = 86_400  # s
PATIENCE = 5  # s for a batch when the process stops


class DailyPruning:
    """Look now and then whether it is time, and prune in a thread of its own: a million rows take minutes."""

    def __init__(self) -> None:
        self._look_at = time.monotonic() + LOOK_INTERVAL
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin_if_due(self) -> None:
        """Begin if nobody has for a day, of all processes; ask the database only every LOOK_INTERVAL seconds."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_INTERVAL
        if clock.seconds_since_jump() < A_DAY:  # what is old by a clock that was set ahead is not
            return
        if conf.MAIL_PRUNE and not self._stopping.is_set() and DailyTask.objects.take(TASK):
            self._thread = threading.Thread(target=self._prune, name="mail-pruning", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End after the batch that is being written; the rest is left for tomorrow."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _prune(self) -> None:
        days, bodies = conf.MAIL_KEEP_DAYS or None, conf.MAIL_KEEP_BODIES or None
        try:
            old, with_old_body = OutboxMessage.objects.outdated(days, bodies)
            removed, emptied = old.prune(self._must_stop), with_old_body.prune_bodies(self._must_stop)
            logger.info("Pruned: %d messages and the bodies of %d others removed.", removed, emptied)
        except Exception:  # mail leaves all the same
            logger.exception("Old messages could not be pruned; manage.py prune_mail does it, or the next day.")
        finally:
            connections.close_all()

    def _must_stop(self) -> bool:
        return self._stopping.wait(BREATH)
