"""A project with nothing but the outbox, in which Django's own tests of its mail run."""

import tempfile
from pathlib import Path

import django

SECRET_KEY = "for the tests only"
INSTALLED_APPS = ["flasky.mail"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

OUTBOX = "tests.foreign.django_mail.backend.EmailBackend"
MAIL_DISPATCHER = "inline"  # a test looks for its mail in the next line
MAIL_BUDGET_RECIPIENT = ()  # all go to the same few
MAIL_FILE_PATH = Path(tempfile.mkdtemp(prefix="django-mail-"))
if django.VERSION < (6, 1):
    EMAIL_BACKEND = OUTBOX
else:
    MAILERS = {
        "default": {"BACKEND": OUTBOX},
        "transport": {"BACKEND": "flasky.mail.transports.backends.by_our_settings"},
    }
