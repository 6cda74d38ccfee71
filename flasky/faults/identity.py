"""Tell which fault a line of the log is about: what a person would call the same."""

import re
from hashlib import sha256
from logging import LogRecord
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, NamedTuple

from django.conf import settings

from flasky.faults.secrets import hide
from flasky.mail.wire.forbidden import visible

MAX_TITLE = 200  # characters
PACKAGES = "site-packages"
NUMBERS = re.compile(r"\d+")


class Identity(NamedTuple):
    key: str
    title: str


FURTHER = Identity("", "errors of other kinds")  # those that get no mail of their own


def identify(record: LogRecord) -> Identity:
    """Return the fault's identity: its kind, the place and the route. No text that a visitor can vary is in it."""
    error = record.exc_info[1] if record.exc_info else None
    parts = _of_error(error) if error is not None else _of_line(record)
    route = _route(getattr(record, "request", None))
    title = " ".join([*parts, f"(route {route!r})"] if route is not None else parts)
    return Identity(sha256(ascii((parts, route)).encode()).hexdigest(), visible(hide(title))[:MAX_TITLE])


def _of_error(error: BaseException) -> list[str]:
    kind = type(error)
    return [f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."), *_place(error.__traceback__)]


def _place(tb: TracebackType | None) -> list[str]:
    """Return where it was raised: the last place in the project's own code, or the last of all."""
    frames = [(Path(frame.f_code.co_filename), line, frame.f_code.co_name) for frame, line in walk_tb(tb)]
    if not frames:
        return []
    own = [frame for frame in frames if settings.BASE_DIR in frame[0].parents and PACKAGES not in frame[0].parts]
    file, line, function = (own or frames)[-1]
    return [f"in {function}, {file.relative_to(settings.BASE_DIR) if own else file} line {line}"]


def _of_line(record: LogRecord) -> list[str]:
    status = getattr(record, "status_code", None)
    text = NUMBERS.sub("…", str(record.msg))  # whoever writes f"{number} failed" means one fault
    return [f"{record.name}: {text}", *([str(status)] if status else [])]


def _route(request: Any) -> str | None:
    match = getattr(request, "resolver_match", None)
    return match.route if match else None
