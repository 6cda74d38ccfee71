"""Let a forked process forget the threads, locks and connections of its parent, which are not its own."""

import os
from collections.abc import Callable


def forget_in_child(forget: Callable[[], None]) -> Callable[[], None]:
    """Call the function in each child that this process forks from now on; it also serves as a decorator."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=forget)
    return forget
