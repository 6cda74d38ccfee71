"""Celery: a task per mail, one worker with MAIL_WORKERS threads, the broker Redis or a directory of files."""

import os
import socket
import tempfile
import threading
import time
from pathlib import Path

from celery import Celery
from celery.contrib.testing.worker import start_worker
from django.conf import settings

from benchmarks import mails


def redis_answers():
    try:
        with socket.create_connection(("127.0.0.1", 6379), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(5) == b"+PONG"
    except OSError:
        return False


PREFIX = f"flasky-benchmark-{os.getpid()}:"
if redis_answers():
    BROKER, OPTIONS = "redis://127.0.0.1:6379/0", {"global_keyprefix": PREFIX}
else:
    folder = Path(tempfile.mkdtemp(prefix="celery-"))
    BROKER = "filesystem://"
    OPTIONS = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder / "control"}

app = Celery(broker=BROKER)
app.conf.update(
    broker_transport_options=OPTIONS,
    task_default_queue="mail",
    task_ignore_result=True,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
)
started, ended, done = [], [], threading.Event()
waiting = 0


@app.task
def send(mail):
    started.append(time.perf_counter())
    mails.composed(mail).send()
    ended.append(time.perf_counter())
    if len(ended) == waiting:
        done.set()


def broker():
    return {"broker": BROKER.partition(":")[0]}


def store(count):
    global waiting
    mail = mails.rendered()
    for _ in range(count):
        send.delay(mail)
    waiting += count


def drain():
    """Return the time from the first mail's start to the last one's end: without the worker's own start."""
    with start_worker(app, pool="threads", concurrency=settings.MAIL_WORKERS, perform_ping_check=False):
        assert done.wait(600), f"{len(ended)} of {waiting} mails were sent"
    return {"seconds": max(ended) - min(started)}


def clear():
    global waiting
    app.control.purge()
    waiting = 0
    started.clear()
    ended.clear()
    done.clear()


def settle():
    pass


def remove():
    """Leave nothing behind in Redis, which others may use."""
    clear()
    if BROKER.startswith("redis"):
        import redis

        client = redis.Redis()
        for key in client.scan_iter(f"{PREFIX}*"):
            client.delete(key)
