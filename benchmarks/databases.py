"""Scratch databases: made for one run, given out fresh and migrated, removed at its end."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from importlib.util import find_spec
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.child import ROOT, Missing

POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"
MARIADB = "mysql://root@127.0.0.1:3306/"
# What each mail costs the budget is counted in; that it holds none is set, because nobody measures a mail that stays.
BUDGETS = ("MAIL_BUDGET_RECIPIENT", "MAIL_BUDGET_KIND", "MAIL_BUDGET_TOTAL", "MAIL_BUDGET_URGENT")


def chosen(choice, scratch):
    """Return the databases to measure on, and a sentence for each that is missing."""
    kinds = {
        "sqlite": lambda: Sqlite(scratch),
        "postgres": lambda: Postgres(POSTGRES),
        "mariadb": lambda: MariaDb(MARIADB),
    }
    if "://" in choice:
        kind = MariaDb if choice.startswith("mysql:") else Postgres
        return [required(lambda: kind(choice))], []
    if choice and choice not in kinds:
        raise SystemExit(
            "--database takes sqlite, postgres, mariadb, or a URL that begins with postgres:// or mysql://."
        )
    if choice:
        return [required(kinds[choice])], []
    found, missing = [], []
    for kind in kinds.values():
        try:
            found.append(kind())
        except Missing as reason:
            missing.append(str(reason))
    return found, missing


def required(make):
    try:
        return make()
    except Missing as reason:
        raise SystemExit(str(reason)) from reason


class Sqlite:
    name = "SQLite"

    def __init__(self, scratch):
        self.scratch = scratch
        self.template = scratch / "template.sqlite3"
        self.number = 0

    def version(self):
        return f"SQLite {sqlite3.sqlite_version}"

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
        try:
            self.connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            where = f"{self.url.hostname}:{self.url.port or 5432}"
            raise Missing(f"PostgreSQL at {where} is not measured: {str(error).strip().splitlines()[-1]}") from error
        self.prefix = f"flasky_benchmark_{os.getpid()}"
        self.names = []

    def version(self):
        return f"PostgreSQL {self.connection.execute('SHOW server_version').fetchone()[0].split()[0]}"

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


class MariaDb:
    name = "MariaDB"

    def __init__(self, url):
        self.url = urlsplit(url)
        where = f"{self.url.hostname}:{self.url.port or 3306}"
        try:
            import MySQLdb
        except ImportError as error:
            raise Missing(f"MariaDB is not measured: mysqlclient is not installed ({error})") from error
        account = {"user": self.url.username, "password": self.url.password or ""}
        try:
            self.connection = MySQLdb.connect(
                host=self.url.hostname, port=self.url.port or 3306, connect_timeout=5, autocommit=True, **account
            )
        except MySQLdb.OperationalError as error:
            raise Missing(f"MariaDB at {where} is not measured: {error.args[-1]}") from error
        self.prefix = f"flasky_benchmark_{os.getpid()}"
        self.names = []

    def version(self):
        return f"MariaDB {self._execute('SELECT VERSION()')[0][0].partition('-')[0]}"

    def new(self):
        """Return the URL of a fresh, migrated database."""
        if not self.names:
            migrate(self._create(f"{self.prefix}_template"))
        url = self._create(f"{self.prefix}_{len(self.names)}")
        self._copy_tables(self.names[0], self.names[-1])
        return url

    def _create(self, name):
        self._execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        self.names.append(name)
        return self.url._replace(path=f"/{name}").geturl()

    def _copy_tables(self, source, target):
        """Migrating takes half a minute; `CREATE TABLE … LIKE` would leave out the foreign keys."""
        self._execute("SET foreign_key_checks = 0")
        self._execute(f"USE {target}")
        for (table,) in self._execute(f"SHOW TABLES FROM {source}"):
            self._execute(self._execute(f"SHOW CREATE TABLE {source}.{table}")[0][1])
            self._execute(f"INSERT INTO {table} SELECT * FROM {source}.{table}")
        self._execute("SET foreign_key_checks = 1")

    def _execute(self, statement):
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def remove(self):
        for name in self.names:
            self._execute(f"DROP DATABASE IF EXISTS {name}")
        self.connection.close()


def migrate(url):
    environment = settings(url, peer=find_spec("post_office") is not None)
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
        "MAIL_DIGEST_AFTER": "0",
        **dict.fromkeys(BUDGETS, "10000000,10000000,10000000"),
        "SECRET_KEY": "for the benchmarks only, and as long as a key that keeps people out",
        "HTTPS": "False",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": url,
        "MAIL_DISPATCHER": "none",
        **(relay.settings if relay else {}),
        **others,
    }
