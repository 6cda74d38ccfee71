"""flasky.databases.postgresql: a pooled connection is asked whether its server is there, before anybody waits."""

import threading

import pytest
from django.db import connection

from flasky.mail.runtime.background import work_in_background

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL's connections are pooled")


@pytest.fixture
def checks():
    from flasky.databases.postgresql.base import check_now_and_then

    return check_now_and_then


@pytest.fixture
def ended(django_db_setup, checks):
    """Return a connection that has just answered, and that its server has ended since."""
    import psycopg

    options = {name: connection.get_connection_params()[name] for name in ("host", "port", "user", "dbname")}
    with psycopg.connect(**options) as one, psycopg.connect(**options, autocommit=True) as other:
        checks(one)
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [one.info.backend_pid])
        yield one


def test_a_visitor_never_gets_a_connection_that_its_server_has_ended(ended, checks):
    with pytest.raises(Exception, match="terminat"):
        checks(ended)


def test_a_deliverer_does_not_ask_again_what_has_just_answered(ended, checks):
    in_background(checks, ended)


def test_a_deliverer_asks_again_after_a_while(ended, checks, monkeypatch):
    from flasky.databases.postgresql import base

    monkeypatch.setattr(base, "TRUST", -1)
    with pytest.raises(Exception, match="terminat"):
        in_background(checks, ended)


def in_background(do, *arguments):
    raised = []

    def work():
        work_in_background()
        try:
            do(*arguments)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
