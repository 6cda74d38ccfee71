"""Write rows past the ORM, which compiles a statement for each: faster. Without this, save() and bulk_create() do."""

from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from typing import Any

from django.db import models

PLAIN = (str, int, float, bool, type(None))  # every database driver takes these as they are


def insert(instance: models.Model, connection: Any) -> None:
    """Insert a new instance and give it its key. Nobody hears a signal, and nobody needs one."""
    model = type(instance)
    names = _all_but_the_key(model)
    key = connection.ops.quote_name(model._meta.pk.column)  # type: ignore[union-attr]
    returning = f" RETURNING {key}" if connection.features.can_return_columns_from_insert else ""
    statement, values = _insertion(connection, model, names, [[getattr(instance, name) for name in names]])
    with connection.cursor() as cursor:
        cursor.execute(statement + returning, values)
        instance.pk = cursor.fetchone()[0] if returning else cursor.lastrowid
    instance._state.adding, instance._state.db = False, connection.alias


def insert_many(
    model: type[models.Model], names: tuple[str, ...], rows: Sequence[Sequence[Any]], connection: Any
) -> None:
    """Insert a row for each sequence of values, which are in the order of the columns' names, with one statement."""
    with connection.cursor() as cursor:
        cursor.execute(*_insertion(connection, model, names, rows))


def update_many(
    model: type[models.Model],
    names: tuple[str, ...],
    guards: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    connection: Any,
) -> Any:
    """Write the values of `names` where the `guards` are met, for each sequence of first those, then these values.

    Return the cursor, whose `rowcount` is the number of rows written.
    """
    fields = _fields(model, names + guards)
    cursor = connection.cursor()
    cursor.executemany(
        _update(model, names, guards, connection.vendor), [_prepared(connection, fields, row) for row in rows]
    )
    return cursor


def count_each(querysets: Sequence[models.QuerySet[Any, Any]], connection: Any) -> list[int]:
    """Return how many rows each of the querysets has, with one statement; none of them must be empty from the start."""
    parts = [queryset.query.get_compiler(connection=connection).as_sql() for queryset in querysets]
    counts = (f"(SELECT COUNT(*) FROM ({sql}) AS part{number})" for number, (sql, _) in enumerate(parts))  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(counts)}", [value for _, values in parts for value in values])
        return list(cursor.fetchone())


def add(model: type[models.Model], keys: dict[str, Any], amounts: dict[str, int], connection: Any) -> None:
    """Add the amounts to the row with these unique keys, which is made if it is not there yet."""
    add_each(model, tuple(keys), tuple(amounts), [[*keys.values(), *amounts.values()]], connection)


def add_each(
    model: type[models.Model],
    keys: tuple[str, ...],
    amounts: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    connection: Any,
) -> None:
    """Do the same for each sequence of values of the keys and the amounts, no two with the same keys, in this order."""
    statement, values = _insertion(connection, model, keys + amounts, rows)
    with connection.cursor() as cursor:
        cursor.execute(statement + _or_addition(model, keys, amounts, connection.vendor), values)


@cache
def _update(model: type[models.Model], names: tuple[str, ...], guards: tuple[str, ...], vendor: str) -> str:
    changes = ", ".join(f"{column} = %s" for column in _columns(model, names, vendor))
    conditions = " AND ".join(f"{column} = %s" for column in _columns(model, guards, vendor))
    return f"UPDATE {_quoted(model._meta.db_table, vendor)} SET {changes} WHERE {conditions}"  # noqa: S608


def _insertion(
    connection: Any, model: type[models.Model], names: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    head, places = _head_and_places(model, names, connection.vendor)
    values = [value for row in rows for value in _prepared(connection, _fields(model, names), row)]
    return f"{head} VALUES {', '.join([places] * len(rows))}", values


@cache
def _head_and_places(model: type[models.Model], names: tuple[str, ...], vendor: str) -> tuple[str, str]:
    binary_place = "_binary %s" if vendor == "mysql" else "%s"  # or it would be read as text
    binary = (isinstance(field, models.BinaryField) for field in _fields(model, names))
    places = ", ".join(binary_place if is_binary else "%s" for is_binary in binary)
    columns = ", ".join(_columns(model, names, vendor))
    return f"INSERT INTO {_quoted(model._meta.db_table, vendor)} ({columns})", f"({places})"


@cache
def _or_addition(model: type[models.Model], keys: tuple[str, ...], amounts: tuple[str, ...], vendor: str) -> str:
    columns = _columns(model, amounts, vendor)
    if vendor == "mysql":
        sums = (f"{column} = {column} + VALUES({column})" for column in columns)
        return f" ON DUPLICATE KEY UPDATE {', '.join(sums)}"
    table = _quoted(model._meta.db_table, vendor)
    sums = (f"{column} = {table}.{column} + excluded.{column}" for column in columns)
    return f" ON CONFLICT ({', '.join(_columns(model, keys, vendor))}) DO UPDATE SET {', '.join(sums)}"


def _columns(model: type[models.Model], names: tuple[str, ...], vendor: str) -> list[str]:
    return [_quoted(field.column, vendor) for field in _fields(model, names)]


def _quoted(name: str, vendor: str) -> str:
    """Quote a name as this vendor does: a column may be called what is a word of SQL somewhere."""
    return f"`{name}`" if vendor == "mysql" else f'"{name}"'


@cache
def _all_but_the_key(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields if not field.primary_key)


@cache
def _fields(model: type[models.Model], names: tuple[str, ...]) -> list[Any]:
    return [model._meta.get_field(name) for name in names]


def _prepared(connection: Any, fields: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    is_sqlite = connection.vendor == "sqlite"
    return [
        value
        if (kind := type(value)) in PLAIN
        else str(value.astimezone(timezone.utc).replace(tzinfo=None))  # as Django does on its way through six functions
        if is_sqlite and kind is datetime and value.tzinfo
        else field.get_db_prep_save(value, connection)
        for field, value in zip(fields, values, strict=True)
    ]
