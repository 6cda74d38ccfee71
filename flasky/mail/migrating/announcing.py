"""Let `migrate` say what it locks before it does, and let it wait for no lock behind which storing would queue."""

from typing import Any

from django.core.management import CommandError
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext

from flasky.mail.migrating.table_locks import sentences

# Who asks for a lock that another has keeps all behind it from the table: not for long.
SET = {"postgresql": "SET LOCAL lock_timeout = '500ms'", "mysql": "SET SESSION lock_wait_timeout = 1"}
RESET = {"mysql": "SET SESSION lock_wait_timeout = DEFAULT"}  # PostgreSQL does so with the transaction's end
NOT_IN_TIME = ("55P03", 1205)


def connect(app_config: Any) -> None:
    pre_migrate.connect(begin, sender=app_config, dispatch_uid="flasky.mail.migrating.announcing.begin")
    post_migrate.connect(end, sender=app_config, dispatch_uid="flasky.mail.migrating.announcing.end")


def begin(app_config: Any, using: str, verbosity: int, plan: Any = (), stdout: Any = None, **signal: Any) -> None:
    connection = connections[using]
    end(using)
    if plan and verbosity and stdout is not None:
        announce(plan, connection, stdout)
    if plan and connection.vendor in SET:
        tables = [model._meta.db_table for model in app_config.get_models(include_auto_created=True)]
        connection.execute_wrappers.append(Impatience(tables))


def end(using: str, **signal: Any) -> None:
    wrappers = connections[using].execute_wrappers
    wrappers[:] = [each for each in wrappers if not isinstance(each, Impatience)]


def announce(plan: Any, connection: Any, stdout: Any) -> bool:
    """Write what the plan locks; return whether that is anything. In a new database nobody waits."""
    executor = MigrationExecutor(connection)
    state = executor._create_project_state(with_applied_migrations=True)  # type: ignore[attr-defined]
    lines = list(sentences(plan, state, connection)) if state.models else []
    if lines:
        stdout.write("\n".join([gettext("What this locks, of tables that have rows:"), *lines]))
    return bool(lines)


class Impatience:
    """Let each statement about one of these tables wait for a lock for a moment only, in place of what storing needs.

    Outside a transaction nothing is changed: what runs there, such as CREATE INDEX CONCURRENTLY, waits for others
    without keeping anybody from the table.
    """

    def __init__(self, tables: list[str]) -> None:
        self.tables = tables

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        connection = context["connection"]
        if not (self._is_about_ours(sql) and (connection.in_atomic_block or connection.vendor == "mysql")):
            return execute(sql, params, many, context)
        _say(connection, SET[connection.vendor])
        try:
            return execute(sql, params, many, context)
        except OperationalError as error:
            if _code(error) not in NOT_IN_TIME:
                raise
            raise CommandError(
                gettext(
                    "Somebody else has a lock on a table that this migration needs, and storing does not wait longer "
                    "for it: %(error)s. What was not applied is as it was. End long transactions, such as those of a "
                    "copy or of VACUUM FULL, and run migrate again."
                )
                % {"error": " ".join(str(error).split())}
            ) from error
        finally:
            if connection.vendor in RESET:
                _say(connection, RESET[connection.vendor])

    def _is_about_ours(self, sql: Any) -> bool:
        return any(table in str(sql) for table in self.tables)


def _say(connection: Any, statement: str) -> None:
    """Say it past the cursor of the statement that it is for, which may be one of the server's."""
    with connection.connection.cursor() as cursor:
        cursor.execute(statement)


def _code(error: OperationalError) -> Any:
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or (cause.args[0] if cause is not None and cause.args else None)
