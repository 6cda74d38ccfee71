"""Deliver in the thread that stored the message, before it goes on: for scripts and tests, the request waits."""

import atexit
import logging
import time

from flasky.mail.conf import conf
from flasky.mail.delivery import deliver_due
from flasky.mail.delivery.timekeeping import Timekeeper
from flasky.mail.limits.releasing import release_what_fits
from flasky.mail.models import OutboxMessage
from flasky.mail.transports import TransportUnavailable, close_kept

logger = logging.getLogger(__name__)

DELIVERS_INLINE = True

_timekeeper = Timekeeper()
_looked_at = _rest_until = 0.0  # on the monotonic clock


def wake() -> None:
    global _rest_until
    _take_back_expired()
    if time.monotonic() < _rest_until:  # as the provider wants it; what was stored waits
        return
    try:
        deliver_due()
    except TransportUnavailable as error:
        _rest_until = time.monotonic() + (error.retry_after or 0)
        logger.warning("%s The mail waits in the outbox.", error)


def _take_back_expired() -> None:
    """Look now and then for what was claimed by the dead, or held: where all deliver inline, nobody else does."""
    global _looked_at
    if not _looked_at or time.monotonic() - _looked_at >= conf.MAIL_SWEEP_INTERVAL:
        _looked_at = time.monotonic()
        _timekeeper.look()
        OutboxMessage.objects.take_over_expired()
        release_what_fits()


def serve() -> None:
    pass


def stop() -> None:
    """Hang up: the connection is kept for the next mail."""
    close_kept()


atexit.register(stop)
