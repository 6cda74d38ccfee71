"""Databases for processes of their own: migrated, empty, and of the kind that the suite runs on."""

import os
import shutil
import subprocess
import sys
from functools import cache
from itertools import count
from urllib.parse import urlsplit

from tests.settings import SCRATCH

SUITE = urlsplit(os.environ["DATABASE_URL"])
# What makes a session read only, by the database's kind.
ONLY_READS = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}
_made = []  # names, on the suite's server
_numbers = count(1)


def new_database(folder):
    """Return the URL of a migrated database; a file is put into the folder. Copies are quicker than migrating."""
    source = _migrated()
    if SUITE.scheme == "sqlite":
        return f"sqlite:///{shutil.copy(source, folder / 'db.sqlite3')}"
    if SUITE.scheme == "postgres":
        return _create(f'TEMPLATE "{source}"')
    url = _create()
    subprocess.run([*_mariadb("mariadb"), _name(url)], input=_dump(source), check=True)
    return url


def empty_database(folder):
    return f"sqlite:///{folder / 'new.sqlite3'}" if SUITE.scheme == "sqlite" else _create()


def drop_databases():
    for name in _made:
        _execute(f"DROP DATABASE {name}" + " WITH (FORCE)" * (SUITE.scheme == "postgres"))
    _made.clear()


def end_sessions(name):
    """Let PostgreSQL drop the database although a thread that a test stopped in the middle still has a connection."""
    if SUITE.scheme == "postgres":
        _execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@cache
def _migrated():
    url = empty_database(SCRATCH)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "flasky.settings", "DATABASE_URL": url}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0", "--skip-checks"],
        env=environment,
        check=True,
        timeout=120,
    )
    return SCRATCH / "new.sqlite3" if SUITE.scheme == "sqlite" else _name(url)


def _create(options=""):
    name = f"flasky_{os.getpid()}_{next(_numbers)}"
    _execute(f"CREATE DATABASE {name} {options}")
    _made.append(name)
    return SUITE._replace(path=name).geturl()


def _name(url):
    return urlsplit(url).path.strip("/")


def _execute(statement):
    if SUITE.scheme == "postgres":
        import psycopg

        with psycopg.connect(SUITE._replace(path="postgres").geturl(), autocommit=True) as connection:
            connection.execute(statement)
    else:
        subprocess.run([*_mariadb("mariadb"), f"--execute={statement}"], check=True)


@cache
def _dump(name):
    return subprocess.run([*_mariadb("mariadb-dump"), name], check=True, stdout=subprocess.PIPE).stdout


def _mariadb(program):
    password = [f"--password={SUITE.password}"] if SUITE.password else []
    return [program, f"--host={SUITE.hostname}", f"--port={SUITE.port or 3306}", f"--user={SUITE.username}", *password]
