"""Defaults for `gunicorn flasky.wsgi`; its command line overrides them."""

from typing import Any

bind = "127.0.0.1:8000"
workers = 2
threads = 4
graceful_timeout = 30  # s for requests and for the mails that are on the wire


def post_worker_init(worker: Any) -> None:
    """Take up the backlog as soon as the worker can, without waiting for its first request."""
    from flasky.mail import dispatchers

    dispatchers.serve()
