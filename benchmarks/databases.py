"""Scratch databases: made for one run, given out fresh and migrated, removed at its end."""

import os
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.child import ROOT, Missing

POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"


def chosen(choice, scratch):
    """Return the databases to measure on, and a sentence for each that is missing."""
    if choice == "sqlite":
        return [Sqlite(scratch)], []
    if choice.startswith("sqlite"):
        raise SystemExit("--database takes sqlite, postgres or a postgres:// URL; SQLite's files are scratch ones.")
    url = choice if "://" in choice else POSTGRES
    try:
        postgres = [Postgres(url)]
    except psycopg.OperationalError as error:
        where = f"{urlsplit(url).hostname}:{urlsplit(url).port or 5432}"
        reason = f"PostgreSQL at {where} was not measured: {str(error).strip().splitlines()[-1]}"
        if choice:
            raise SystemExit(reason) from error
        return [Sqlite(scratch)], [reason]
    return postgres if choice else [Sqlite(scratch), *postgres], []


class Sqlite:
    name = "SQLite"

    def __init__(self, scratch):
        self.scratch = scratch
        self.template = scratch / "template.sqlite3"
        self.number = 0

    def new(self):
        """Return the URL of a fresh, migrated database."""
        if not self.template.exists():
            migrate(f"sqlite:///{self.template}")
        self.number += 1
        path = self.scratch / f"{self.number}.sqlite3"
        shutil.copy(self.template, path)
        return f"sqlite:///{path}"

    def remove(self):
        pass  # the scratch directory is removed as a whole


class Postgres:
    name = "PostgreSQL"

    def __init__(self, url):
        self.url = urlsplit(url.replace("postgresql://", "postgres://"))
        self.connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
        self.prefix = f"flasky_benchmark_{os.getpid()}"
        self.names = []

    def new(self):
        """Return the URL of a fresh, migrated database."""
        if not self.names:
            migrate(self._create(f"{self.prefix}_template", "template1"))
        return self._create(f"{self.prefix}_{len(self.names)}", f"{self.prefix}_template")

    def _create(self, name, template):
        identifiers = sql.Identifier(name), sql.Identifier(template)
        self.connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*identifiers))
        self.names.append(name)
        return self.url._replace(path=f"/{name}").geturl()

    def remove(self):
        for name in self.names:
            self.connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self.connection.close()


def migrate(url):
    environment = settings(url, peer=True)
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise Missing(f"The scratch database could not be migrated: {done.stderr.strip()[-500:]}")
    time.sleep(0.1)  # PostgreSQL copies no template while the session before is still ending


def settings(url, relay=None, peer=False, **others):
    """Return the environment of a process that uses the database and the relay: Flasky's settings, or a peer's."""
    return {
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings" if peer else "flasky.settings",
        "ENV_FILE": os.devnull,
        "FORM_MIN_SECONDS": "0",
        "NAMES_PER_VISITOR": "0",
        "NAMES_PER_ADDRESS": "0",
        "NAMES_IN_TOTAL": "0",
        "SECRET_KEY": "for the benchmarks only, and as long as a key that keeps people out",
        "HTTPS": "False",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": url,
        "MAIL_DISPATCHER": "none",
        **(relay.settings if relay else {}),
        **others,
    }
