"""A queue of the drill's own on the broker: the project's workers must not hear of it. It goes by itself."""

from kombu import Queue

from flasky.mail.dispatchers.celery import app

EXPIRES = 60  # s after its last user


def use(name: str) -> None:
    app.conf.task_default_queue = name
    app.conf.task_queues = [Queue(name, expires=EXPIRES)]
