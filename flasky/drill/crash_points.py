"""Name the points at which a worker of the drill dies, and kill it there."""

import itertools
import os
import signal
from collections.abc import Callable

from django.dispatch import Signal
from django.utils.translation import gettext_noop as _

from flasky.mail import signals

POINTS = {  # by the words for each, which are said in the reader's language
    _("after the claim"): signals.claimed,
    _("during the dialogue"): signals.envelope_answered,
    _("after the final dot"): signals.text_sent,
    _("after 250, before the commit"): signals.outcome_written,
    _("during renewal"): signals.leases_renewed,
}


def die_at(point: Signal, die: Callable[[], None]) -> Callable[..., None]:
    """Call `die` whenever the point is reached; return the receiver, by which the signal can be disconnected."""

    def last_act(**arguments: object) -> None:
        die()

    point.connect(last_act, weak=False)
    return last_act


def kill_on_pass(number: int) -> Callable[[], None]:
    """Return a function that kills this process the `number`-th time that it is called."""
    passes = itertools.count(1)

    def die() -> None:
        if next(passes) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return die
