"""No migration keeps storing from its tables for as long as it takes to go through all their rows."""

from contextlib import contextmanager
from importlib import import_module
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import migrations, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models.functions import Now, Random

from flasky.mail.migrating.online import AddIndexOnline
from flasky.mail.migrating.table_locks import (
    A_MOMENT,
    ALL_ROWS,
    ITS_OWN_CODE,
    NOTHING,
    WHOLE_DATABASE,
    table_locks,
)
from tests.databases import SUITE
from tests.mail.migrating.locking import apply, database_with_rows, is_later, judged

on_postgresql = pytest.mark.skipif(SUITE.scheme != "postgres", reason="only PostgreSQL shows its locks")
loader = MigrationLoader(None)
count_anew = import_module("tests.mail.migrating.later_migrations.0002_of_every_kind").count_anew
BEGIN = ("flasky_mail", "0001_initial")


def migration(*operations, name="0099_tried", atomic=True):
    made = type("Migration", (migrations.Migration,), {"operations": list(operations), "atomic": atomic})
    return made(name, "flasky_mail")


def index(name="tried"):
    return models.Index(fields=["subject"], name=name)


# Operations on tables with rows, and for how long writing to them waits on PostgreSQL.
OPERATIONS = {
    "a new column": (migrations.AddField("outboxmessage", "new", models.TextField(null=True)), A_MOMENT),
    "a new column with a default": (migrations.AddField("attempt", "new", models.IntegerField(default=3)), A_MOMENT),
    "a new column with the database's default": (
        migrations.AddField("attempt", "new", models.DateTimeField(db_default=Now())),
        A_MOMENT,
    ),
    "a new column with a number of its own for each row": (
        migrations.AddField("attempt", "new", models.FloatField(db_default=Random())),
        ALL_ROWS,
    ),
    "a new column with an index": (
        migrations.AddField("outboxmessage", "new", models.IntegerField(null=True, db_index=True)),
        ALL_ROWS,
    ),
    "a new unique column": (
        migrations.AddField("outboxmessage", "new", models.IntegerField(null=True, unique=True)),
        ALL_ROWS,
    ),
    "a new foreign key": (
        migrations.AddField(
            "attempt", "new", models.ForeignKey("flasky_mail.Process", models.CASCADE, null=True, db_index=False)
        ),
        A_MOMENT,
    ),
    "an index": (migrations.AddIndex("outboxmessage", index()), ALL_ROWS),
    "another type": (migrations.AlterField("outboxmessage", "attempt_count", models.BigIntegerField()), ALL_ROWS),
    "a wider column": (migrations.AlterField("attempt", "worker", models.CharField(max_length=255)), NOTHING),
    "a column without NULL": (
        migrations.AlterField("outboxmessage", "finished_at", models.DateTimeField(default="2000-01-01T00:00:00Z")),
        ALL_ROWS,
    ),
    "a constraint": (
        migrations.AddConstraint(
            "outboxmessage", models.CheckConstraint(condition=models.Q(attempt_count__gte=0), name="tried")
        ),
        ALL_ROWS,
    ),
    "no column any more": (migrations.RemoveField("outboxmessage", "request_id"), A_MOMENT),
    "another name": (migrations.RenameField("outboxmessage", "cause", "reason"), A_MOMENT),
    "a table that refers to it": (
        migrations.CreateModel(
            "New",
            [("id", models.BigAutoField(primary_key=True)), ("of", models.ForeignKey("OutboxMessage", models.CASCADE))],
        ),
        A_MOMENT,
    ),
}
cases = pytest.mark.parametrize(("operation", "lasts"), OPERATIONS.values(), ids=OPERATIONS)


@pytest.fixture(scope="module")
def with_rows(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database_with_rows(tmp_path_factory.mktemp("rows"), "with_rows") as connection:
        yield connection


@pytest.fixture
def tried(with_rows):
    """The database with rows, in a transaction of which nothing stays."""
    with transaction.atomic(with_rows.alias):
        yield with_rows
        transaction.set_rollback(True, with_rows.alias)


@pytest.fixture
def new_with_rows(tmp_path, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database_with_rows(tmp_path, "new_with_rows") as connection:
        yield connection


@pytest.mark.parametrize("vendor", ["postgresql", "mysql"])
def test_no_operation_of_ours_locks_a_table_while_it_goes_through_its_rows(vendor):
    for key in filter(is_later, loader.disk_migrations):
        state = loader.project_state([each for each in loader.graph.forwards_plan(key) if each != key])

        locks = list(table_locks(loader.disk_migrations[key], state, vendor))

        assert [lock for lock in locks if lock.lasts == ALL_ROWS] == [], key


@on_postgresql
@pytest.mark.django_db
def test_no_migration_of_ours_keeps_writing_from_a_table_while_it_goes_through_rows(new_with_rows):
    for node in loader.graph.leaf_nodes():
        for key in filter(is_later, loader.graph.forwards_plan(node)):
            with judged(new_with_rows) as faults:
                apply(loader.disk_migrations[key], new_with_rows)

            assert faults == [], key


@on_postgresql
@cases
def test_what_is_said_beforehand_is_what_the_database_shows(tried, operation, lasts):
    said = {lock.lasts for lock in table_locks(migration(operation), loader.project_state([BEGIN]), "postgresql")}
    assert said == {lasts} - {NOTHING}

    with judged(tried) as faults:
        apply(migration(operation), tried)

    assert bool(faults) == (lasts is ALL_ROWS), faults


@on_postgresql
def test_the_judge_sees_rows_that_are_written_while_a_table_is_locked(tried):
    column = migrations.AddField("outboxmessage", "new", models.TextField(null=True))
    with judged(tried) as faults:
        apply(migration(column, migrations.RunPython(count_anew)), tried)

    assert [fault for fault in faults if fault.startswith("flasky_mail_outboxmessage locked")]


# --- An index that is built while rows are written --------------------------------------------------------------------


ONLINE = migration(AddIndexOnline("outboxmessage", index("online")), atomic=False)


@on_postgresql
@pytest.mark.django_db
def test_an_index_is_built_online_also_where_a_run_was_interrupted(new_with_rows):
    with new_with_rows.cursor() as cursor:
        cursor.execute("CREATE INDEX online ON flasky_mail_outboxmessage (kind)")
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'online'::regclass")

    with judged(new_with_rows) as faults:
        apply(ONLINE, new_with_rows)

    assert faults == []
    with new_with_rows.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid='online'::regclass"
        )
        is_valid, definition = cursor.fetchone()
    assert is_valid
    assert definition.endswith("(subject)")


@on_postgresql
@pytest.mark.django_db
def test_a_partitioned_table_gets_its_index_the_plain_way(new_with_rows):
    with new_with_rows.cursor() as cursor:
        cursor.execute("ALTER TABLE flasky_mail_writeprobe RENAME TO whole")
        cursor.execute("CREATE TABLE flasky_mail_writeprobe (LIKE whole) PARTITION BY RANGE (id)")

    apply(
        migration(AddIndexOnline("writeprobe", models.Index(fields=["at"], name="on_parts")), atomic=False),
        new_with_rows,
    )

    with new_with_rows.cursor() as cursor:
        assert "on_parts" in new_with_rows.introspection.get_constraints(cursor, "flasky_mail_writeprobe")


@pytest.mark.django_db
def test_every_kind_of_database_gets_an_index_online(new_with_rows):
    apply(ONLINE, new_with_rows)

    with new_with_rows.cursor() as cursor:
        assert "online" in new_with_rows.introspection.get_constraints(cursor, "flasky_mail_outboxmessage")


def test_an_index_online_is_said_to_lock_nothing():
    assert list(table_locks(ONLINE, loader.project_state([BEGIN]), "postgresql")) == []


# --- What migrate says, and how long it waits -------------------------------------------------------------------------


def said(command, *arguments, **options):
    out = StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_migrate_says_beforehand_what_it_locks_of_tables_that_have_rows(new_with_rows, settings):
    settings.MIGRATION_MODULES = {"flasky_mail": "tests.mail.migrating.later_migrations"}
    expected = {
        "sqlite": (WHOLE_DATABASE, WHOLE_DATABASE, WHOLE_DATABASE),
        "postgresql": (ALL_ROWS, A_MOMENT, ITS_OWN_CODE),
        "mysql": (A_MOMENT, A_MOMENT, ITS_OWN_CODE),
    }[new_with_rows.vendor]

    beforehand = said("migration_locks", database=new_with_rows.alias)
    on_the_way = said("migrate", database=new_with_rows.alias)
    afterwards = said("migration_locks", database=new_with_rows.alias)

    head, *every = beforehand.splitlines()
    lines = [line for line in every if "accounts." not in line]  # which has migrations of its own
    assert head == "What this locks, of tables that have rows:"
    assert all(line.endswith(f": {lasts}.") for line, lasts in zip(lines, expected, strict=True))
    assert "Create index tried on field(s) kind of model outboxmessage (flasky_mail_outboxmessage, about" in lines[0]
    assert "0002_of_every_kind: Count every message's attempts anew: " in lines[2]
    assert beforehand in on_the_way
    assert on_the_way.index(lines[0]) < on_the_way.index("Applying")
    assert "No migration waits." in afterwards


@pytest.mark.skipif(SUITE.scheme == "sqlite", reason="there one writes at a time, and waits for its turn")
@pytest.mark.django_db
def test_a_migration_that_would_have_to_wait_for_a_lock_keeps_nobody_from_the_table(new_with_rows, settings):
    settings.MIGRATION_MODULES = {"flasky_mail": "tests.mail.migrating.later_migrations"}
    other = new_with_rows.copy()
    with transaction_of(other) as cursor:
        cursor.execute("SELECT COUNT(*) FROM flasky_mail_outboxmessage")  # as a copy of the database does

        with pytest.raises(CommandError, match=r"Somebody else has a lock .* run migrate again"):
            said("migrate", "flasky_mail", database=new_with_rows.alias)

    assert "Applying flasky_mail.0002_of_every_kind... OK" in said(
        "migrate", "flasky_mail", database=new_with_rows.alias
    )


@contextmanager
def transaction_of(connection):
    try:
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            yield cursor
        connection.rollback()
    finally:
        connection.close()
