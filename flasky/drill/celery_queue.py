"""Give the drill a queue of its own on the broker, which goes by itself: no other worker must hear of it."""

from kombu import Queue

from flasky.mail.dispatchers.celery import app

EXPIRES = 60  # s after its last user


def use(name: str) -> None:
    app.conf.task_default_queue = name
    app.conf.task_queues = [Queue(name, expires=EXPIRES)]
    app.conf.task_routes = {}
