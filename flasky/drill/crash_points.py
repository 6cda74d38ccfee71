"""The points at which a worker of the drill dies."""

import itertools
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from flasky.mail.delivery import recording
from flasky.mail.models import OutboxMessageQuerySet
from flasky.mail.transports import SmtpTransport


@dataclass
class Point:
    """The end of a function's call, if its result and its arguments say that this is the moment."""

    owner: Any  # a class or a module
    name: str
    is_the_moment: Callable[..., bool]
    inside: Callable[[], AbstractContextManager[Any]] = nullcontext


POINTS = {
    "after the claim": Point(
        OutboxMessageQuerySet,
        "claim",
        lambda claimed, *_, **__: bool(claimed),
    ),
    "during the dialogue": Point(
        SmtpTransport,
        "_name_the_envelope",
        lambda *_: True,
    ),
    "after the final dot": Point(
        SmtpTransport,
        "_send",
        lambda _, data, **__: b"\r\n.\r\n" in bytes(data),
    ),
    "after 250, before the commit": Point(
        recording,
        "_note_attempts",
        lambda *_: True,
    ),
    "during renewal": Point(
        OutboxMessageQuerySet,
        "renew",
        lambda *_: True,
        inside=transaction.atomic,
    ),
}


def die_at(point: Point, die: Callable[[], None]) -> None:
    """Call `die` whenever the point is reached."""
    original = getattr(point.owner, point.name)

    def last_act(subject: Any, *args: Any, **kwargs: Any) -> Any:
        with point.inside():
            result = original(subject, *args, **kwargs)
            if point.is_the_moment(result, *args, **kwargs):
                die()
        return result

    setattr(point.owner, point.name, last_act)


def kill_on_pass(number: int) -> Callable[[], None]:
    """Return a function that kills this process the `number`-th time that it is called."""
    passes = itertools.count(1)

    def die() -> None:
        if next(passes) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return die
