"""Run the site's tasks by Celery: `celery -A flasky worker` and `celery -A flasky beat`."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flasky.settings")
django.setup()

from flasky.mail.dispatchers.celery import app  # noqa: E402 (needs the apps that the line above loads)
from flasky.site.serving import refuse_wrong_settings  # noqa: E402

__all__ = ["app"]

refuse_wrong_settings()
