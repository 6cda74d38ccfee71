"""What has to be known of a figure besides its numbers: when, of which code, on what, and what else went on."""

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

import psutil

from benchmarks.child import ROOT

PACKAGES = (
    "Django",
    "django-post_office",
    "django-mailer",
    "celery",
    "django-tasks-db",
    "Flask-Mail",
    "gunicorn",
    "psycopg",
    "mysqlclient",
)
LOOK = 1  # s


def about(database, rounds):
    """Return it for a figure that is measured from now on."""
    return {
        "at": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "load": [round(load, 1) for load in os.getloadavg()],
        "busy": round(psutil.cpu_percent(LOOK)),  # % of all cores, by others, just before
        "rounds": rounds,
        "database": database.version(),
        "python": platform.python_version(),
        "packages": dict(versions()),
    }


def commit():
    """Return the commit, and whether there was more than it has; an empty string without git."""
    try:
        head = git("rev-parse", "--short=10", "HEAD")
        changed = git("status", "--porcelain", "--", ".", ":!benchmarks/results.json", ":!docs")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head} with changes" if changed else head


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def versions():
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue
