"""The project's own settings, whatever a developer's machine has set."""

import os
import tempfile
import zlib
from pathlib import Path

from tests.surroundings import make_the_same

make_the_same()

SCRATCH = Path(tempfile.mkdtemp(prefix="flasky-tests-"))
DATABASE = os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{SCRATCH / 'db.sqlite3'}"

# Nobody else's on a broker of this machine: not another clone's, database's or process's of the tests.
QUEUE = f"{zlib.crc32(__file__.encode())}-{DATABASE.partition(':')[0]}-{os.environ.get('PYTEST_XDIST_WORKER', 'tests')}"

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
    MAIL_DISPATCHER="none",  # a test that wants delivery asks for it
    CELERY_TASK_DEFAULT_QUEUE=f"mail-{QUEUE}",
)

from flasky.settings import *  # noqa: E402, F403

assert not UNREADABLE_SETTINGS, UNREADABLE_SETTINGS  # noqa: F405
# Threads share a database file; SQLite's in-memory database would be locked for all but one.
DATABASES["default"]["TEST"] = {"NAME": str(SCRATCH / "test.sqlite3")} if "sqlite" in DATABASE else {}  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
