"""Tell whoever delivers that there is work. MAIL_DISPATCHER is the dotted path of the module to use.

A dispatcher has three functions. `wake()`: messages were stored and committed. It carries no data, may be lost and must
not wait for anything. `serve()`: this process answers requests; called before each of them. `stop()`: it does not any
more. And it may have two more names. `DELIVERS_INLINE = True`: wake() delivers before it returns, so that no process
that delivers is missed. `check()`: return Django's check messages about the settings that only this dispatcher reads.
"""

import logging
from functools import cache
from importlib import import_module
from typing import Any

from flasky.mail.conf import conf
from flasky.mail.runtime.test_run import is_test_run

logger = logging.getLogger(__name__)

_module = cache(import_module)  # every mail asks


def wake() -> None:
    """Wake the configured dispatcher. A failure is logged here, where no handler makes a mail of it.

    Django's own log of a failed on_commit callback is mailed to the administrators; that mail would wake, fail, and
    be mailed, without end.
    """
    try:
        _module(conf.MAIL_DISPATCHER).wake()
    except Exception:
        logger.exception("%s could not be woken; the next sweep finds the mail.", conf.MAIL_DISPATCHER)


def serve_requests(**signal: Any) -> None:
    """Begin to deliver with the first request, but not with a test's.

    Threads would lock the test's database, and send the mails that it stores to real people.
    """
    if not is_test_run():
        serve()


_can_serve = True  # as far as is known


def serve() -> None:
    """Begin to deliver in this process, if that is the dispatcher's way; no request fails because it cannot."""
    global _can_serve
    try:
        _module(conf.MAIL_DISPATCHER).serve()
        _can_serve = True
    except Exception:
        if _can_serve:
            logger.exception("%s could not be started; each request tries again.", conf.MAIL_DISPATCHER)
        _can_serve = False


def delivers_inline() -> bool:
    """Return whether the configured dispatcher delivers where it is woken; one that cannot be imported does not."""
    try:
        return bool(getattr(_module(conf.MAIL_DISPATCHER), "DELIVERS_INLINE", False))
    except Exception:  # its code may raise anything; check_dispatcher() says so
        return False


def stop() -> None:
    _module(conf.MAIL_DISPATCHER).stop()
