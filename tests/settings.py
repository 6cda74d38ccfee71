"""The project's own settings, with every variable that a developer's machine might set fixed."""

import os
import tempfile
from pathlib import Path

SCRATCH = Path(tempfile.mkdtemp(prefix="flasky-tests-"))
DATABASE = os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{SCRATCH / 'db.sqlite3'}"

for name in list(os.environ):
    if name.startswith(("MAIL_", "FLASKY_", "ANYMAIL_", "CELERY_", "DJANGO_SUPERUSER_", "LANGUAGE_CODE", "TIME_ZONE")):
        del os.environ[name]
os.environ.update(
    ENV_FILE=os.devnull,
    SECRET_KEY="for the tests only, and as long as a key that keeps people out",
    DEBUG="False",
    HTTPS="False",
    FORM_MIN_SECONDS="0",
    NAMES_PER_VISITOR="0",
    NAMES_PER_ADDRESS="0",
    NAMES_IN_TOTAL="0",
    DATABASE_URL=DATABASE,
    FLASKY_ADMIN="admin@example.com",
    MAIL_TRANSPORT="locmem",
    **{f"MAIL_BUDGET_{share}": "0" for share in ("RECIPIENT", "KIND", "TOTAL", "URGENT")},  # many tests send many mails
    MAIL_DIGEST_AFTER="0",  # and expect each
    MAIL_DISPATCHER="none",  # a test that wants delivery asks for it
    CELERY_TASK_DEFAULT_QUEUE=f"mail-{DATABASE.partition(':')[0]}-{os.environ.get('PYTEST_XDIST_WORKER', 'tests')}",
)

from flasky.settings import *  # noqa: E402, F403

assert not UNREADABLE_SETTINGS, UNREADABLE_SETTINGS  # noqa: F405
# Threads share a database file; SQLite's in-memory database would be locked for all but one.
DATABASES["default"]["TEST"] = {"NAME": str(SCRATCH / "test.sqlite3")} if "sqlite" in DATABASE else {}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
