"""Know which threads work in the background of a process that answers visitors: they can wait, visitors do not."""

import threading

_here = threading.local()


def work_in_background() -> None:
    """Let this thread give way from now on."""
    _here.is_background = True


def is_in_background() -> bool:
    return bool(getattr(_here, "is_background", False))
