"""flasky.mail.monitoring.readiness and its time limit: what /readyz says, and how long it takes at most."""

import threading
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import InterfaceError, OperationalError, connection, connections
from django.db.backends.signals import connection_created
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from flasky.mail.db.connections import drop_connection
from flasky.mail.models import OutboxMessage, RelayOutage, State, WriteProbe
from flasky.mail.monitoring import readiness
from flasky.mail.runtime import deadline
from tests.conftest import wait_until
from tests.databases import ONLY_READS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    monkeypatch.setattr(readiness, "_is_migrated", False)


def ask(client):
    response = client.get("/readyz")
    return response.status_code, response.content.decode()


def store(seconds, state=State.QUEUED):
    """Store a message that has been due for so long."""
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["secret.person@example.com"])
    email.send()
    moment = timezone.now() - timedelta(seconds=seconds)
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(next_attempt_at=moment, state=state)


def test_a_process_that_can_work_is_ready(client):
    store(60)
    assert ask(client) == (200, "ok\n")


def test_the_answer_is_plain_is_not_kept_and_has_no_cookie(client):
    response = client.get("/readyz")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies


def test_a_load_balancer_gets_it_without_tls_and_by_any_name(settings):
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/readyz", headers={"host": "10.0.0.7:8000"}).status_code == 200
    assert Client().get("/readyz/more").status_code == 301


def test_mail_that_waits_too_long_makes_it_unready_and_says_what_to_do(client):
    store(960)
    status, text = ask(client)
    assert status == 503
    assert text.startswith("The oldest due mail has waited for 96")
    assert "(MAIL_READY_AGE is 900)" in text
    assert "look at the processes that deliver" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("state", [State.SENDING, State.SENT, State.FAILED, State.HELD, State.CANCELLED])
def test_only_what_is_due_counts(client, state):
    store(960, state)
    store(-960)
    assert ask(client) == (200, "ok\n")


@pytest.mark.parametrize(("limit", "status"), [(1000, 200), (900, 503), (1, 503), (0, 200)])
def test_the_limit_is_a_setting_and_zero_is_none(client, settings, limit, status):
    settings.MAIL_READY_AGE = limit
    store(960)
    assert ask(client)[0] == status


def test_a_relay_that_is_away_takes_no_server_away_but_is_told(client):
    store(960)
    RelayOutage.objects.note("mail.secret.test:25", "550 secret.person@example.com", timezone.now())
    status, text = ask(client)
    assert status == 200
    first, second, end = text.split("\n")
    assert (first, end) == ("ok", "")
    assert "waited for 96" in second
    assert "takes no mail" in second
    assert "secret" not in text


def test_a_relay_that_nobody_probes_any_more_is_no_excuse(client):
    store(960)
    RelayOutage.objects.note("mail.test:25", "away", timezone.now() - timedelta(hours=1))
    assert ask(client)[0] == 503


@pytest.fixture
def unmigrated():
    """As if the later migrations were new in this version of the code."""

    def forget():
        MigrationRecorder(connection).migration_qs.filter(app__in=("faults", "flasky_site")).delete()

    applied = list(MigrationRecorder(connection).migration_qs.values("app", "name", "applied"))
    yield forget
    MigrationRecorder(connection).migration_qs.all().delete()
    MigrationRecorder.Migration.objects.bulk_create(MigrationRecorder.Migration(**row) for row in applied)


def test_a_migration_that_is_not_applied_is_named(client, unmigrated):
    unmigrated()
    status, text = ask(client)
    assert status == 503
    assert "not applied: faults.0001_initial, " in text
    assert text.endswith("Run manage.py migrate.\n")


def test_migrations_are_looked_for_again_until_they_are_applied_and_then_no_more(client, unmigrated):
    assert ask(client)[0] == 200
    unmigrated()
    assert ask(client)[0] == 200
    readiness._is_migrated = False
    assert ask(client)[0] == ask(client)[0] == 503


def test_an_answer_costs_four_queries_or_five_and_now_and_then_a_write(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(readiness, "_is_migrated", True)
    readiness._readiness()
    asks_the_time = connection.vendor != "sqlite"
    with django_assert_num_queries(4 + asks_the_time):
        readiness._readiness()
    store(960)
    with django_assert_num_queries(5 + asks_the_time):
        readiness._readiness()


@pytest.fixture
def connections_begin_with():
    """Let each new connection of this process begin with a statement; a pool's too, until the test is over."""
    receivers = []

    def begin(statement):
        def execute(connection, **signal):
            connection.cursor().execute(statement)

        receivers.append(execute)
        connection_created.connect(execute)

    yield begin
    for execute in receivers:
        connection_created.disconnect(execute)
    drop_connection()


def test_a_database_that_only_reads_makes_it_unready_and_is_called_so(client, connections_begin_with):
    assert ask(client)[0] == 200
    connections_begin_with(ONLY_READS[connection.vendor])
    status, text = ask(client)
    assert status == 503
    assert text.startswith("The database can be read, but takes no write: it is read-only. Look whether DATABASE_URL ")
    assert text.count("\n") == 1


def test_a_full_disk_makes_it_unready_and_is_called_so(client, connections_begin_with):
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite can be told how large it may become; for PostgreSQL see test_outages.py")
    assert ask(client)[0] == 200
    WriteProbe.objects.update(at=Now() - timedelta(minutes=1))
    connections_begin_with("PRAGMA max_page_count = 1")  # it takes the size that it has
    connection.close()
    with pytest.raises(OperationalError):
        for _ in range(10_000):
            store(0)
    status, text = ask(client)
    assert status == 503
    assert text.startswith("The database can be read, but takes no write: its disk is full. Make room ")


def test_what_was_written_to_see_whether_it_can_be_stays_one_row():
    for _ in range(3):
        WriteProbe.objects.write(lately=0)
    first = WriteProbe.objects.get()
    WriteProbe.objects.write()
    assert WriteProbe.objects.get() == first, "it is written too often"
    WriteProbe.objects.update(at=Now() + timedelta(hours=1))  # somebody has set the database's clock
    WriteProbe.objects.write()
    assert WriteProbe.objects.get() != first


@pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
def test_a_database_that_fails_makes_it_unready_and_is_described_in_the_log_only(client, monkeypatch, caplog, failure):
    def fail():
        raise failure('connection to server at "10.1.2.3" failed for user "flasky"')

    monkeypatch.setattr(readiness, "_look", deadline.SingleFlight(fail))
    status, text = ask(client)
    assert status == 503
    assert text.startswith(f"The database cannot be used ({failure.__name__}).")
    assert "10.1.2.3" not in text
    assert "10.1.2.3" in caplog.text


@pytest.fixture
def silent_database(monkeypatch):
    """A database that accepts questions and says nothing until the test lets it."""
    asked, speak = [], threading.Event()

    def hang():
        asked.append(threading.current_thread())
        assert speak.wait(60)
        return readiness.Readiness([], [])

    monkeypatch.setattr(readiness, "_look", deadline.SingleFlight(hang))
    monkeypatch.setattr(deadline, "TIME_LIMIT", 0.05)
    yield asked, speak
    speak.set()
    for thread in asked:
        thread.join()


def test_a_database_that_hangs_does_not_hang_the_probe_and_is_asked_once(client, silent_database):
    asked, speak = silent_database
    for _ in range(3):
        status, text = ask(client)
        assert status == 503
        assert "has not answered within" in text
    assert len(asked) == 1
    speak.set()
    wait_until(lambda: ask(client)[0] == 200)


def test_a_look_leaves_no_connection_open():
    opened = []
    look = deadline.SingleFlight(lambda: (connection.ensure_connection(), opened.append(connections["default"])))
    look.answer()
    assert opened[0].connection is None
