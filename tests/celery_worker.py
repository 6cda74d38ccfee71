"""A Celery worker in a process of its own, on a real broker."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.parse import urlsplit
from uuid import uuid4

from tests.conftest import missing

COMMAND = (sys.executable, "-m", "celery", "-A", "flasky", "worker")
BROKERS = {"redis": "redis://127.0.0.1:6379/7", "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//"}


def broker_url(name):
    """Return the URL of this broker; skip if it, or Celery, is not here."""
    if find_spec("celery") is None or find_spec("redis") is None:
        missing("Celery (requirements-celery.txt)")
    url = BROKERS[name]
    try:
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=5).close()
    except OSError:
        missing(f"{name} at {urlsplit(url).netloc.rpartition('@')[2]}")
    return url


class CeleryWorker:
    """`celery -A flasky worker` with this environment; everything that it prints is kept in `log`."""

    def __init__(self, environment, *arguments, app="flasky"):
        # RabbitMQ locks the second of a name out, and another process of the tests may have one.
        named = [f"--hostname={uuid4()}@%h", "--loglevel=INFO", *arguments]
        command = [sys.executable, "-m", "celery", "-A", app, "worker", *named]
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "flasky.settings", **environment}
        self.log = []
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()
        assert self._ready.wait(60), "".join(self.log)
        assert self.process.poll() is None, "".join(self.log)

    def _read_log(self):
        for line in self.process.stdout:
            self.log.append(line)
            if " ready." in line:
                self._ready.set()
        self._ready.set()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)
        self._reader.join(60)
        self.process.stdout.close()


@contextmanager
def celery_worker(environment, *arguments):
    worker = CeleryWorker(environment, *arguments)
    try:
        yield worker
    finally:
        worker.stop()
