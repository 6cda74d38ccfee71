"""Deliver in the thread that stored the message, before it goes on: for scripts and tests, the request waits."""

import logging

from flasky.mail.delivery import deliver_due
from flasky.mail.transports import TransportUnavailable

logger = logging.getLogger(__name__)


def wake() -> None:
    try:
        deliver_due()
    except TransportUnavailable as error:
        logger.warning("%s The mail waits in the outbox.", error)


def serve() -> None:
    pass


def stop() -> None:
    pass
