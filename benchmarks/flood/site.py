"""The site as README.md starts it, and how much it keeps."""

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from benchmarks.child import ROOT

# The robots are as patient and as careful as people. All limits are the defaults but that in total, so that others can
# still type new names while one address floods the form.
ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "flasky.settings",
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "for the flood only, and as long as a key that keeps people out",
    "ALLOWED_HOSTS": "127.0.0.1",
    "HTTPS": "False",
    "FORM_MIN_SECONDS": "0",
    "NAMES_IN_TOTAL": "1000",
    "MAIL_DIGEST_AFTER": "0",  # each name is a mail: it is the mail budget that must hold them
    "FLASKY_ADMIN": "admin@example.com",
    "MAIL_SERVER": "127.0.0.1",
}
OURS = re.compile("(MAIL|FLASKY|NAMES?|LOGINS?|ANYMAIL|CELERY)_")


def prepare():
    """Let nothing but the database be what the environment of this process says."""
    for name in list(os.environ):
        if OURS.match(name):
            del os.environ[name]
    os.environ.update(ENVIRONMENT)


@contextmanager
def serving(database_url, mail_port, log):
    """Serve the site, and yield its port; its log is in the file `log`."""
    environment = {**os.environ, "DATABASE_URL": database_url, "MAIL_PORT": str(mail_port)}
    command = [sys.executable, "-m", "gunicorn", "flasky.wsgi", "--bind", "127.0.0.1:0"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield _port(log, process)
    finally:
        process.terminate()
        process.wait(60)


def _port(log, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text("utf-8", "replace")):
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"The site did not start: {log.read_text('utf-8', 'replace')[-500:]}")


def database_bytes(path):
    """Return the size of the database on the disk."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return sum(file.stat().st_size for file in Path(path).parent.glob(f"{Path(path).name}*"))
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute(
                "SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces WHERE name LIKE %s", [f"{path}/%"]
            )
        return int(cursor.fetchone()[0])
