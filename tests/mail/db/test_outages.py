"""flasky.mail.db.outages: whether an error will pass, on the database the suite runs on and by the codes of all."""

import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from flasky.mail.db.connections import drop_connection
from flasky.mail.db.outages import is_outage, what_is_wrong
from flasky.mail.models import Process
from tests.actors import store
from tests.databases import ONLY_READS

pytestmark = pytest.mark.django_db(transaction=True)


def raised_by(action):
    with pytest.raises(Exception) as raised, transaction.atomic():  # noqa: PT011 (it is looked at)
        action()
    return raised.value


def executing(sql, *values):
    return lambda: connection.cursor().execute(sql, values or None)


def test_a_database_that_only_reads_is_an_outage_and_is_called_so():
    executing(ONLY_READS[connection.vendor])()
    error = raised_by(lambda: Process.objects.create(name="host 1", threads=1))
    drop_connection()
    assert is_outage(error)
    assert "read-only" in what_is_wrong(error)


def test_a_full_disk_is_an_outage_and_is_called_so():
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite can be told how large it may become")
    executing("PRAGMA max_page_count = 1")()  # it takes the size that it has
    try:
        error = raised_by(lambda: [store() for _ in range(1000)])
    finally:
        executing("PRAGMA max_page_count = 1073741823")()
    assert is_outage(error)
    assert "disk is full" in what_is_wrong(error)


def test_a_table_that_is_being_put_back_is_an_outage():
    assert is_outage(raised_by(executing("SELECT * FROM a_table_that_is_not_there")))
    assert is_outage(raised_by(executing("SELECT a_column_that_is_not_there FROM flasky_mail_process")))


def with_a_lone_surrogate():
    Process.objects.create(name="\ud800", threads=1)


def with_a_huge_number():
    store()
    executing("UPDATE flasky_mail_outboxmessage SET attempt_count = %s", 2**70)()


def twice():
    for _ in range(2):
        Process.objects.bulk_create([Process(name="host 1", threads=1)])


@pytest.mark.parametrize("action", [with_a_lone_surrogate, with_a_huge_number, twice, executing("no SQL at all")])
def test_what_the_database_will_never_take_is_none(action):
    assert not is_outage(raised_by(action))


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        (InternalError, "25006", True),  # only reads
        (OperationalError, "53100", True),  # full disk
        (OperationalError, "53300", True),  # too many connections
        (OperationalError, "57P01", True),  # told to end
        (OperationalError, "57P03", True),  # starts
        (OperationalError, "08006", True),
        (OperationalError, "40001", True),  # others were quicker
        (OperationalError, "40P01", True),
        (OperationalError, "55P03", True),  # a lock
        (OperationalError, "58030", True),  # the disk does not answer
        (InternalError, "25P03", True),  # idle for too long
        (InternalError, "XX000", True),
        (ProgrammingError, "42501", True),  # a right that was taken
        (ProgrammingError, "42P01", True),
        (ProgrammingError, "42703", True),
        (OperationalError, "28P01", True),  # a password that is being changed
        (OperationalError, "3D000", True),  # no such database
        (ProgrammingError, "26000", True),  # another's connection, behind a pool
        (DataError, "22003", False),
        (DataError, "22P05", False),
        (IntegrityError, "23503", False),
        (OperationalError, "54000", False),  # larger than the program can
        (ProgrammingError, "42601", False),
        (ProgrammingError, "P0001", False),  # a trigger refuses it
        (InternalError, "25P02", False),  # the first error is another one
    ],
)
def test_a_sqlstate_counts_and_no_class(kind, state, expected):
    class DriversError(Exception):
        sqlstate = state

    assert is_outage(caused(kind, DriversError())) is expected


@pytest.mark.parametrize(
    ("kind", "number", "expected"),
    [
        (OperationalError, 1290, True),  # --read-only
        (OperationalError, 1792, True),
        (OperationalError, 1021, True),  # full disk
        (OperationalError, 1114, True),
        (InternalError, 28, True),
        (OperationalError, 1205, True),  # a lock
        (OperationalError, 1213, True),
        (OperationalError, 1040, True),  # too many connections
        (OperationalError, 1142, True),  # a right that was taken
        (ProgrammingError, 1146, True),  # no such table
        (OperationalError, 1054, True),
        (OperationalError, 2006, True),  # gone away
        (OperationalError, 2013, True),
        (ProgrammingError, 2014, True),
        (OperationalError, 1366, False),  # a letter that the column does not take
        (DataError, 1406, False),
        (IntegrityError, 1452, False),
        (OperationalError, 1153, False),  # larger than max_allowed_packet
        (ProgrammingError, 1064, False),
        (OperationalError, 1644, False),  # a trigger refuses it
    ],
)
def test_a_number_of_mariadb_counts_and_no_class(kind, number, expected):
    assert is_outage(caused(kind, Exception(number, "words"))) is expected


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        (OperationalError, "attempt to write a readonly database", True),
        (OperationalError, "database or disk is full", True),
        (OperationalError, "disk I/O error", True),
        (OperationalError, "database is locked", True),
        (OperationalError, "unable to open database file", True),
        (OperationalError, "no such table: flasky_mail_attempt", True),
        (DatabaseError, "database disk image is malformed", True),  # a good copy may be put back
        (ProgrammingError, "Cannot operate on a closed database.", True),
        (InterfaceError, "connection already closed", True),
        (OperationalError, 'near "no": syntax error', False),
        (DataError, "string or blob too big", False),
        (IntegrityError, "FOREIGN KEY constraint failed", False),
    ],
)
def test_the_words_of_sqlite_count(kind, words, expected):
    assert is_outage(caused(kind, Exception(words))) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InterfaceError("connection already closed"), True),
        (OperationalError("it is away"), True),
        (DatabaseError("Save with update_fields did not affect any rows."), False),
        (transaction.TransactionManagementError("broken"), False),
    ],
)
def test_what_django_says_itself_counts_by_its_class(error, expected):
    assert is_outage(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OSError(24, "Too many open files"), True),
        (RuntimeError("can't start new thread"), True),
        (ValueError("an error of our own"), False),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), False),
    ],
)
def test_a_machine_that_is_short_of_something_may_have_it_later(error, expected):
    assert is_outage(error) is expected


def test_what_is_wrong_names_a_code_and_no_host():
    error = caused(OperationalError, Exception(2002, "Can't connect to server on 'db.secret.test'"))
    assert what_is_wrong(error).startswith("it answered OperationalError 2002.")
    assert "secret" not in what_is_wrong(error)


def caused(kind, cause):
    error = kind(*cause.args)
    error.__cause__ = cause
    return error
