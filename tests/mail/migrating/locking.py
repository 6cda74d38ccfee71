"""A database with rows, of the suite's kind, and a judge of what a migration locks in it."""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

from django.apps import apps
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from tests.databases import SUITE, empty_database

ROWS = 500
WRITING_WAITS_FOR = ["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"]
OF_OTHERS = re.compile(r"(django_|auth_|mail_)")  # nothing is stored there; mail_ are the tables of the outbox before
HELD = """
SELECT DISTINCT relation::regclass::text FROM pg_locks JOIN pg_class ON pg_class.oid = relation
WHERE pid = pg_backend_pid() AND granted AND relkind IN ('r', 'p') AND mode = ANY (%s)
"""
ROWS_TOUCHED = """
SELECT SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0) + n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables
"""
TABLES = (
    "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
)


def is_later(key):
    """Whether a migration of ours meets rows: that is no app's first."""
    is_of_ours = apps.get_app_config(key[0]).name.startswith(("flasky.", "accounts"))
    return is_of_ours and not key[1].startswith("0001")


@contextmanager
def database_with_rows(folder, alias):
    """Yield the connection to a database that has the first migration of each app of ours, and rows."""
    path = urlsplit(empty_database(folder)).path
    connections.databases[alias] = connections.databases["default"] | {
        "NAME": path if SUITE.scheme == "sqlite" else path.strip("/")
    }
    connection = connections[alias]
    try:
        executor = MigrationExecutor(connection)
        whole = executor.migration_plan(executor.loader.graph.leaf_nodes())
        executor.migrate(None, [step for step in whole if not is_later((step[0].app_label, step[0].name))])
        fill(MigrationExecutor(connection)._create_project_state(with_applied_migrations=True).apps, alias)
        yield connection
    finally:
        connection.close()
        getattr(connection, "close_pool", bool)()  # it would lead the next of this alias to this database
        del connections[alias], connections.databases[alias]


def fill(apps_of_then, alias):
    user, message, attempt = (
        apps_of_then.get_model(label).objects.using(alias)
        for label in ("accounts.User", "flasky_mail.OutboxMessage", "flasky_mail.Attempt")
    )
    user.bulk_create(user.model(username=f"name{number}") for number in range(ROWS))
    messages = message.bulk_create(message.model(content=b"x", recipients=["a@b"]) for _ in range(ROWS))
    attempt.bulk_create(attempt.model(message=each, outcome="accepted") for each in messages)


def apply(migration, connection):
    """Apply the migration to the database as it is."""
    executor = MigrationExecutor(connection)
    state = executor._create_project_state(with_applied_migrations=True)
    executor.apply_migration(state, migration)


@contextmanager
def judged(connection):
    """Yield the list of what keeps writing from a table that was there before, while rows are gone through."""
    judge = Judge({table for (table,) in connection.connection.execute(TABLES) if not OF_OTHERS.match(table)})
    with connection.execute_wrapper(judge):
        yield judge.faults


class Judge:
    """Look after each statement which tables this transaction keeps others from, and how many rows it has touched."""

    def __init__(self, tables):
        self.tables, self.faults, self.locked = tables, [], set()
        self.touched = None  # by this transaction, as far as is known

    def __call__(self, execute, sql, params, many, context):
        connection = context["connection"]
        if not connection.in_atomic_block:
            self.locked, self.touched = set(), None
            if "CONCURRENTLY" not in sql and any(table in sql for table in self.tables):
                self.faults.append(f"outside a transaction nothing shows what this locks: {sql}")
            return execute(sql, params, many, context)
        look = connection.connection.execute
        if self.touched is None:  # the transactions before may not have been counted off yet
            self.touched = look(ROWS_TOUCHED).fetchone()[0] or 0
        result = execute(sql, params, many, context)
        self.locked |= self.tables & {table for (table,) in look(HELD, [WRITING_WAITS_FOR])}
        touched = look(ROWS_TOUCHED).fetchone()[0] or 0
        if self.locked and touched - self.touched >= ROWS:
            self.faults.append(f"{', '.join(sorted(self.locked))} locked, {touched - self.touched} rows touched: {sql}")
        self.touched = touched
        return result
