"""Defaults for `gunicorn flasky.wsgi`; its command line overrides them."""

from typing import Any

# No bind: gunicorn listens at 127.0.0.1:8000, or at 0.0.0.0:$PORT where a platform sets PORT.
workers = 2
worker_class = "flasky.guard.worker.PatientWorker"  # gthread, but half a request holds no thread
worker_connections = 800  # of each process; with its files fewer than the 1024 that it may have open as a rule
# A few that wait for an absent database must leave some for the pages that need none. With the 4 that deliver they are
# as many as PostgreSQL's pool has connections (POOL in flasky/databases/url.py).
threads = 16
graceful_timeout = 30  # s for requests and for the mails that are on the wire
# What a proxy says is heard in flasky/guard/clients.py, by either server alike; gunicorn would also let whoever comes
# from a trusted address set SCRIPT_NAME by a header.
forwarded_allow_ips = ""
forwarder_headers = ""
control_socket_disable = True  # it would need a home directory to write to


def post_worker_init(worker: Any) -> None:
    """Take up the backlog as soon as the worker can, without waiting for its first request."""
    from flasky.mail import dispatchers

    dispatchers.serve()
