"""Flasky's settings with the peers added: the same database options, templates and log, another way to send."""

import os
import tempfile
from pathlib import Path

import django

from flasky.settings import *  # noqa: F403
from flasky.settings import INSTALLED_APPS, MAIL_WORKERS

INSTALLED_APPS = [*INSTALLED_APPS, "post_office", "mailer", "django_tasks", "django_tasks_db"]
SMTP = "flasky.mail.transports.backends.by_our_settings"  # Django's own, told where the relay is, on every Django
if django.VERSION < (6, 1):
    EMAIL_BACKEND = SMTP
else:
    MAILERS = {"default": {"BACKEND": SMTP}}

POST_OFFICE = {
    "BACKENDS": {"default": SMTP},
    "THREADS_PER_PROCESS": MAIL_WORKERS,
    "BATCH_SIZE": int(os.environ.get("POST_OFFICE_BATCH_SIZE", "100")),  # 100 is its default
}
MAILER_EMAIL_BACKEND = SMTP
MAILER_LOCK_PATH = str(Path(tempfile.gettempdir()) / f"mailer-{os.getpid()}")
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
