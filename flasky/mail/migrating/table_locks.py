"""Say what a migration locks, and for how long, before it runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.models import ModelOptionOperation
from django.db.models.functions import Now
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy, ngettext

from flasky.mail.migrating.online import AddIndexOnline

NOTHING = gettext_lazy("locks nothing")
A_MOMENT = gettext_lazy("locks it for a moment, however many rows it has")
ALL_ROWS = gettext_lazy("locks it against writing for as long as reading or writing all its rows takes")
ITS_OWN_CODE = gettext_lazy("runs code of its own: what it writes stays locked until it has ended")
WHOLE_DATABASE = gettext_lazy("nobody else can write to the database until it has ended")

OF_A_MOMENT = (
    migrations.RemoveField,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.RenameIndex,
    migrations.RemoveIndex,
    migrations.RemoveConstraint,
    migrations.DeleteModel,
    migrations.AlterModelTable,
    migrations.AlterModelTableComment,
)
CODE = (migrations.RunPython, migrations.RunSQL)
NEITHER_TABLE_NOR_ROW = (AddIndexOnline, migrations.AlterModelOptions, migrations.AlterModelManagers)


@dataclass(frozen=True)
class TableLock:
    """What one operation of a migration does to a table that is there already."""

    operation: Operation
    table: str
    lasts: Promise


def table_locks(migration: Any, state: Any, vendor: str) -> Iterator[TableLock]:
    """Yield what the migration locks; the tables that it makes itself are nobody's yet. `state` is before it."""
    state = state.clone()
    made: set[tuple[str, str]] = set()
    for operation in migration.operations:
        yield from _locks_of(operation, migration.app_label, state, made, vendor)
        if isinstance(operation, migrations.CreateModel):
            made.add((migration.app_label, operation.name_lower))
        operation.state_forwards(migration.app_label, state)


def _locks_of(operation: Any, label: str, state: Any, made: set[tuple[str, str]], vendor: str) -> Iterator[TableLock]:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for each in operation.database_operations:
            yield from _locks_of(each, label, state, made, vendor)
    elif isinstance(operation, CODE):
        yield TableLock(operation, "", WHOLE_DATABASE if vendor == "sqlite" else ITS_OWN_CODE)
    elif isinstance(operation, migrations.CreateModel):
        fields = [field for _, field in operation.fields]
        yield from _referred(operation, fields, label, state, made, vendor)
    elif (key := (label, _model_of(operation))) not in made and key in state.models:
        lasts = WHOLE_DATABASE if vendor == "sqlite" else _lasts(operation, state.models[key], vendor)
        if lasts is not NOTHING and not isinstance(operation, NEITHER_TABLE_NOR_ROW):
            yield TableLock(operation, _table(state, key), lasts)
        if isinstance(operation, migrations.AddField):
            yield from _referred(operation, [operation.field], label, state, made, vendor)


def _model_of(operation: Any) -> str:
    for name in ("model_name_lower", "old_name_lower", "name_lower"):
        if hasattr(operation, name):
            return str(getattr(operation, name))
    return ""


def _table(state: Any, key: tuple[str, str]) -> str:
    return str(state.apps.get_model(*key)._meta.db_table)


def _referred(
    operation: Any, fields: Iterable[Any], own_label: str, state: Any, made: set[tuple[str, str]], vendor: str
) -> Iterator[TableLock]:
    """Yield the tables that new foreign keys refer to: their triggers are added there."""
    for field in fields:
        if getattr(field, "db_constraint", False) and isinstance(field.remote_field.model, str):
            label, _, name = field.remote_field.model.rpartition(".")
            key = label or own_label, name.lower()
            if key in state.models and key not in made:
                yield TableLock(operation, _table(state, key), WHOLE_DATABASE if vendor == "sqlite" else A_MOMENT)


def _lasts(operation: Any, model_state: Any, vendor: str) -> Promise:
    """Say for how long a table is locked against writing, on PostgreSQL and MariaDB: rather too long than too short."""
    if isinstance(operation, OF_A_MOMENT):
        return A_MOMENT
    if isinstance(operation, migrations.AddField):
        return _lasts_to_add(operation.field, vendor)
    if isinstance(operation, migrations.AlterField):
        return _lasts_to_alter(model_state.fields.get(operation.name), operation.field)
    if isinstance(operation, migrations.AddIndex):
        return A_MOMENT if vendor == "mysql" or isinstance(operation, AddIndexOnline) else ALL_ROWS
    if isinstance(operation, ModelOptionOperation) and not hasattr(operation, "option_value"):
        return NOTHING
    return ALL_ROWS


def _lasts_to_add(field: Any, vendor: str) -> Promise:
    has_index = field.unique or (field.db_index and vendor != "mysql")
    default = getattr(field, "db_default", None)
    has_one_value = not isinstance(default, models.Func) or type(default) is Now
    return ALL_ROWS if has_index or field.generated or not has_one_value else A_MOMENT


def _lasts_to_alter(before: Any, after: Any) -> Promise:
    of_database = _column(before), _column(after)
    if of_database[0] == of_database[1]:
        return NOTHING
    return A_MOMENT if _only_wider(before, after) else ALL_ROWS


def _column(field: Any) -> tuple[Any, ...]:
    """Return what the database knows of a field; choices, labels and Python's defaults it does not."""
    _, path, arguments, options = field.deconstruct()
    unknown = (*field.non_db_attrs, "default")
    return path, arguments, {name: value for name, value in options.items() if name not in unknown}


def _only_wider(before: Any, after: Any) -> bool:
    path, arguments, options = _column(before)
    other_path, other_arguments, other_options = _column(after)
    length, other_length = (each.pop("max_length", None) for each in (options, other_options))
    options.pop("null", None), other_options.pop("null", None)
    is_same = (path, arguments, options) == (other_path, other_arguments, other_options)
    may_be_null = after.null or not before.null
    return is_same and may_be_null and (length == other_length or (length or 0) < (other_length or 0) <= 255)


def sentences(plan: Iterable[tuple[Any, bool]], state: Any, connection: Any) -> Iterator[str]:
    """Yield a line for each operation of a plan of `migrate` that locks a table which has rows."""
    for migration, is_backwards in plan:
        if is_backwards:
            continue
        for lock in table_locks(migration, state, connection.vendor):
            rows = _rows(connection, lock.table) if lock.table else None
            if rows != 0:
                yield f"  {migration}: {_describe(lock.operation)}{_of_table(lock.table, rows)}: {lock.lasts}."
        state = migration.mutate_state(state, preserve=False)


def _describe(operation: Any) -> str:
    # A RunPython says nothing else of itself.
    told = operation.code.__doc__ if isinstance(operation, migrations.RunPython) else ""
    return str(told.strip().partition("\n")[0].rstrip(".") if told else operation.describe())


def _of_table(table: str, rows: int | None) -> str:
    if rows is None:
        return ""
    number = number_format(rows, use_l10n=True, force_grouping=True)
    about = ngettext("about %(count)s row", "about %(count)s rows", rows) % {"count": number}
    return f" ({table}, {about})"


def _rows(connection: Any, table: str) -> int:
    """Return about how many rows a table has; nothing is counted where the database keeps an estimate."""
    estimates = {
        "postgresql": "SELECT CASE WHEN reltuples > 0 THEN reltuples ELSE pg_relation_size(oid) / 1000 END "
        "FROM pg_class WHERE oid = to_regclass(%s)",
        "mysql": "SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
    }
    with connection.cursor() as cursor:
        if query := estimates.get(connection.vendor):
            quoted = connection.ops.quote_name(table) if connection.vendor == "postgresql" else table
            cursor.execute(query, [quoted])
            found = cursor.fetchone()
            return int(found[0] or 0) if found else 0
        if table not in connection.introspection.table_names(cursor):
            return 0
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608
        return int(cursor.fetchone()[0])
