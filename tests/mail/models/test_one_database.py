"""flasky.mail.models.one_database: nothing is read from a copy, and nobody who has read is refused the lock."""

import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.db import connection, connections, transaction
from django.test import override_settings
from django.utils import timezone

from flasky.mail.delivery import deliver_due
from flasky.mail.limits.budget import forget
from flasky.mail.models import OutboxMessage, RelayOutage, State
from flasky.mail.models.one_database import write_transaction
from flasky.mail.web.actions import ActionRequest, perform
from flasky.mail.web.operations import OPERATIONS
from tests.actors import expire

OUTBOX = "/admin/flasky_mail/outboxmessage/"


def store(state=State.QUEUED):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com", "carl@example.com"])
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=state, finished_at=timezone.now())
    return email.outbox_message


def operate(name, message):
    [operation] = [each for each in OPERATIONS if each.name == name]
    asked = ActionRequest("Ann", "ann@example.com", since=0)
    assert perform(operation, [message.pk], asked).done == 1


def store_knowing_nothing():
    forget()  # what is left of the mail budget, so that it is counted
    with override_settings(MAIL_BUDGET_TOTAL=(100,)):
        return store()


@transaction.atomic
def store_in_a_transaction():
    return store_knowing_nothing()


def take_over():
    message = store()
    OutboxMessage.objects.claim(1)
    expire()
    assert OutboxMessage.objects.take_over_expired() == 1
    return message


DOORS = {
    "store": store_knowing_nothing,
    "store in a transaction": store_in_a_transaction,
    **{operation.name: lambda name=operation.name: operate(name, store(State.HELD)) for operation in OPERATIONS},
    "hold": lambda: operate("hold", store()),
    "try_now": lambda: operate("try_now", store()),
    "claim": lambda: store() and OutboxMessage.objects.claim(1),
    "take over": take_over,
    "deliver": lambda: store() and deliver_due(),
    "prune": lambda: store(State.SENT) and OutboxMessage.objects.prune(),
    "prune bodies": lambda: store(State.SENT) and OutboxMessage.objects.prune_bodies(),
    "note an outage": lambda: RelayOutage.objects.note("relay", "away", timezone.now() + timedelta(minutes=1)),
}


# --- A copy of the database for reading ---------------------------------------------------------------------------


class ReadsElsewhere:
    """A project's router, whose copy for reading is so far behind that it has no tables."""

    def db_for_read(self, model, **hints):
        return "copy" if model._meta.app_label == "flasky_mail" else None

    def db_for_write(self, model, **hints):
        return "default" if model._meta.app_label == "flasky_mail" else None


@pytest.fixture
def with_copy(settings, monkeypatch):
    empty = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    monkeypatch.setitem(
        connections.settings, "copy", connections.configure_settings({"default": {}, "copy": empty})["copy"]
    )
    settings.DATABASE_ROUTERS = [ReadsElsewhere()]
    yield
    connections["copy"].close()
    del connections["copy"]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.django_db
def test_nothing_that_is_done_to_mail_reads_a_copy(with_copy, door):
    DOORS[door]()


@pytest.mark.django_db(transaction=True)
def test_a_caller_who_waits_for_the_outcome_reads_no_copy(with_copy):
    assert store(State.SENT).wait(5) == State.SENT


@pytest.mark.parametrize("page", ["", "charts/", "{}/change/?tab=history", "?q=bob@example.com"])
@pytest.mark.django_db
def test_no_page_reads_a_copy(with_copy, client, page):
    client.force_login(get_user_model().objects.create_superuser("ann"))
    assert client.get(OUTBOX + page.format(store().pk)).status_code == 200


# --- SQLite's lock ------------------------------------------------------------------------------------------------


@pytest.fixture
def stock_sqlite(transactional_db):
    """SQLite as a new project has it: a transaction takes the lock with its first write."""
    if connection.vendor != "sqlite":
        pytest.skip("the others have a lock for each row")
    connection.ensure_connection()
    mode, connection.transaction_mode = connection.transaction_mode, None
    yield
    connection.transaction_mode = mode


@contextmanager
def another_writes_after_each_read():
    """Let another write between a transaction's reads and its writes; give whether it could, each time."""
    could = []

    def read(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith("SELECT") and connection.in_atomic_block:
            with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as another:
                could.append(begins_to_write(another))
        return result

    with connection.execute_wrapper(read):
        yield could


def begins_to_write(another):
    try:
        another.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


@pytest.mark.parametrize("door", DOORS)
def test_nobody_writes_between_what_is_read_and_what_is_written(stock_sqlite, door):
    with another_writes_after_each_read() as could:
        DOORS[door]()
    assert not any(could)


def test_another_could_in_a_transaction_that_takes_no_lock(stock_sqlite):
    with another_writes_after_each_read() as could, transaction.atomic():
        OutboxMessage.objects.exists()
    assert could == [True]


def test_a_transaction_of_the_callers_own_is_gone_on_with(stock_sqlite):
    with transaction.atomic(), write_transaction("default"):
        store()
    assert OutboxMessage.objects.count() == 1


def test_other_transactions_stay_as_the_settings_have_them(stock_sqlite):
    with write_transaction("default"):
        pass
    assert connection.transaction_mode is None
