"""The door for Celery: `celery -A flasky worker` and `celery -A flasky beat`."""

import os
from typing import Any

import django
from celery import signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flasky.settings")
django.setup()

from flasky.mail.dispatchers import threads  # noqa: E402 (needs the apps that the line above loads)
from flasky.mail.dispatchers.celery import app  # noqa: E402
from flasky.site.serving import refuse_wrong_settings  # noqa: E402

__all__ = ["app"]

refuse_wrong_settings()


@signals.worker_process_init.connect(weak=False)
def begin(**signal: Any) -> None:
    """Deliver what waits, and sweep, without a beat: in each process of the pool."""
    threads.serve()


@signals.worker_ready.connect(weak=False)
def begin_without_processes(sender: Any, **signal: Any) -> None:
    """Do the same in the worker itself, if its pool has threads instead of processes."""
    if not sender.pool.uses_semaphore:
        threads.serve()


@signals.worker_process_shutdown.connect(weak=False)
@signals.worker_shutdown.connect(weak=False)
def end(**signal: Any) -> None:
    """Finish what is on the wire."""
    threads.stop()
