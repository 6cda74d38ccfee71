"""Try again what a deadlock has ended: MariaDB lets those who insert the same row at once wait in a circle."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import OperationalError

DEADLOCKS = 20  # after which nobody tries once more
LONGEST_PAUSE = 0.05  # s

Done = TypeVar("Done")


def despite_deadlocks(work: Callable[[], Done], connection: Any) -> Done:
    """Do the work, a transaction of its own; inside one of the caller's, which is lost with it, do it once."""
    for is_last in [*[False] * DEADLOCKS, True]:
        try:
            return work()
        except OperationalError as error:
            if is_last or connection.in_atomic_block or "deadlock" not in str(error).lower():
                raise
            time.sleep(random.uniform(0, LONGEST_PAUSE))
    raise AssertionError("the last try returns or raises")
