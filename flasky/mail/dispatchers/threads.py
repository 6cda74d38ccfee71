"""Deliver with the threads of each serving process.

They start with the first request, so never at import, in a command, or in a master process that will fork.
"""

import threading

from flasky.mail.delivery.worker import Worker
from flasky.mail.runtime.forking import forget_in_child

_worker: Worker | None = None
_starting = threading.Lock()


def serve() -> None:
    global _worker
    if _worker is None:
        with _starting:
            if _worker is None:
                worker = Worker()
                worker.start()
                _worker = worker


def wake() -> None:
    """Wake this process's threads; a process that does not serve leaves the message to one that does."""
    if _worker is not None:
        _worker.wake()


def stop() -> None:
    """Finish what is on the wire and end the threads."""
    global _worker
    worker, _worker = _worker, None
    if worker is not None:
        worker.stop()


@forget_in_child
def _forget_the_parents_threads() -> None:
    global _worker, _starting
    _worker, _starting = None, threading.Lock()
