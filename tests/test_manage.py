"""manage.py: what it says when the database cannot be used."""

import os
import sqlite3
import subprocess
import sys

import pytest
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, InternalError, ProgrammingError
from django.db.utils import OperationalError

import manage
from tests.databases import empty_database


def test_a_database_without_tables_is_a_sentence_that_names_migrate(tmp_path):
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "flasky.settings", "DATABASE_URL": empty_database(tmp_path)}
    command = [sys.executable, "manage.py", "deliver_mail"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    last_line = finished.stderr.splitlines()[-1]
    assert last_line.startswith("The database cannot be used: ")
    assert last_line.endswith(" Look at DATABASE_URL; a new one needs `manage.py migrate`.")


def shell(monkeypatch, failure, *options):
    code = f"import django.db.utils; raise django.db.utils.{failure.__name__}('it\\nsaid so')"
    monkeypatch.setattr(sys, "argv", ["manage.py", "shell", "-c", code, *options])
    manage.main()


@pytest.mark.parametrize("failure", [OperationalError, ProgrammingError, InternalError, InterfaceError, DatabaseError])
def test_whatever_a_database_fails_with_is_a_sentence(monkeypatch, failure):
    with pytest.raises(SystemExit, match=r"^The database cannot be used: it said so\. Look at DATABASE_URL;"):
        shell(monkeypatch, failure)
    with pytest.raises(failure):
        shell(monkeypatch, failure, "--traceback")


@pytest.mark.parametrize("failure", [DataError, IntegrityError])
def test_a_value_that_does_not_fit_is_not_blamed_on_the_database(monkeypatch, failure):
    with pytest.raises(failure):
        shell(monkeypatch, failure)


def test_a_database_that_only_reads_is_not_told_to_migrate(monkeypatch):
    def read_only(arguments):
        raise OperationalError("attempt to write") from sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("django.core.management.execute_from_command_line", read_only)
    with pytest.raises(SystemExit, match=r"it is read-only\. Look whether DATABASE_URL leads to a standby"):
        manage.main()
