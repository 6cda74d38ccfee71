"""Dispatchers tell whoever delivers that there is work. MAIL_DISPATCHER is the dotted path of the module to use.

A dispatcher has three functions. `wake()`: messages were stored and committed. It carries no data, may be lost and must
not wait for anything. `serve()`: this process answers requests; called before each of them. `stop()`: it does not any
more.
"""

import logging
from functools import cache
from importlib import import_module
from typing import Any

from django.conf import settings

logger = logging.getLogger(__name__)

_module = cache(import_module)  # every mail asks


def wake() -> None:
    """Wake the configured dispatcher. A failure is logged here, where no handler makes a mail of it.

    Django's own log of a failed on_commit callback is mailed to the administrators; that mail would wake, fail, and
    be mailed, without end.
    """
    try:
        _module(settings.MAIL_DISPATCHER).wake()
    except Exception:
        logger.exception("%s could not be woken; the next sweep finds the mail.", settings.MAIL_DISPATCHER)


_can_serve = True  # as far as is known


def serve(**signal: Any) -> None:
    """Begin to deliver in this process, if that is the dispatcher's way; no request fails because it cannot."""
    global _can_serve
    try:
        _module(settings.MAIL_DISPATCHER).serve()
        _can_serve = True
    except Exception:
        if _can_serve:
            logger.exception("%s could not be started; each request tries again.", settings.MAIL_DISPATCHER)
        _can_serve = False


def stop() -> None:
    _module(settings.MAIL_DISPATCHER).stop()
