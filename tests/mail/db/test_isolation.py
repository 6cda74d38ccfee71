"""flasky.mail.db.isolation: the level of the outbox's transactions is found, whoever has set it."""

import pytest
from django.db import connection

from flasky.mail.checks import check_delivery
from tests.databases import SUITE

pytestmark = pytest.mark.django_db(transaction=True)
on_postgresql = pytest.mark.skipif(SUITE.scheme != "postgres", reason="PostgreSQL's own way")
on_mariadb = pytest.mark.skipif(SUITE.scheme != "mysql", reason="MariaDB's own way")


@pytest.fixture(autouse=True)
def small_mails(settings):
    settings.MAIL_MAX_SIZE = 1_000_000  # for which any database has room


@pytest.fixture
def level(monkeypatch):
    """A function that lets the next connection have this level by the settings."""

    def set_by_options(name):
        monkeypatch.setitem(
            connection.settings_dict, "OPTIONS", connection.settings_dict["OPTIONS"] | {"isolation_level": name}
        )
        begin_anew()

    yield set_by_options
    monkeypatch.undo()
    begin_anew()


def begin_anew():
    """Let the next connection be a new one: a pool's would keep the level that it has."""
    connection.close()
    getattr(connection, "close_pool", bool)()


def found():
    return [each.id for each in check_delivery(databases=["default"])]


def test_the_levels_of_the_settings_as_they_are_are_right():
    assert found() == []


@on_postgresql
@pytest.mark.parametrize(
    ("name", "finding"),
    [("SERIALIZABLE", ["flasky.E046"]), ("REPEATABLE_READ", ["flasky.E046"]), ("READ_UNCOMMITTED", [])],
)
def test_the_level_in_the_options_of_postgresql_is_found(level, name, finding):
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    level(IsolationLevel[name])
    assert found() == finding


@on_postgresql
@pytest.mark.parametrize("whose", ["DATABASE", "ROLE"])
def test_the_level_that_postgresql_itself_was_told_is_found(whose):
    name = connection.settings_dict["NAME"]
    of = f'DATABASE "{name}"' if whose == "DATABASE" else f'ROLE CURRENT_USER IN DATABASE "{name}"'
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER {of} SET default_transaction_isolation = 'serializable'")
    begin_anew()
    try:
        assert found() == ["flasky.E046"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER {of} RESET default_transaction_isolation")
        begin_anew()


@on_mariadb
@pytest.mark.parametrize(
    ("name", "finding"),
    [("serializable", ["flasky.E046"]), ("repeatable read", ["flasky.W010"]), ("read uncommitted", ["flasky.W010"])],
)
def test_the_level_in_the_options_of_mariadb_is_found(level, name, finding):
    level(name)
    assert found() == finding


@on_mariadb
def test_the_level_that_mariadb_itself_was_told_is_found(level):
    level(None)  # then Django leaves the server's alone, which is REPEATABLE READ unless somebody has changed it
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    assert found() == ["flasky.E046"]
