"""Write rows past the ORM: it compiles a statement for each, which takes longer than the database needs for the row."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import models

PLAIN = (str, int, float, bool, type(None))  # every database driver takes these as they are


def insert(instance: models.Model, connection: Any) -> None:
    """Insert a new instance and give it its key. Nobody hears a signal, and nobody needs one."""
    model = type(instance)
    names = _all_but_the_key(model)
    returning = " RETURNING id" if connection.features.can_return_columns_from_insert else ""
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
    changes, conditions = (f"{name} = %s" for name in names), (f"{name} = %s" for name in guards)
    statement = f"UPDATE {model._meta.db_table} SET {', '.join(changes)} WHERE {' AND '.join(conditions)}"  # noqa: S608
    fields = _fields(model, names + guards)
    cursor = connection.cursor()
    cursor.executemany(statement, [_prepared(connection, fields, row) for row in rows])
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
    table, names = model._meta.db_table, (*keys, *amounts)
    statement, values = _insertion(connection, model, names, [[*keys.values(), *amounts.values()]])
    if connection.vendor == "mysql":
        sums = (f"{name} = {name} + VALUES({name})" for name in amounts)
        statement += f" ON DUPLICATE KEY UPDATE {', '.join(sums)}"
    else:
        sums = (f"{name} = {table}.{name} + excluded.{name}" for name in amounts)
        statement += f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sums)}"
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _insertion(
    connection: Any, model: type[models.Model], names: tuple[str, ...], rows: Sequence[Sequence[Any]]
) -> tuple[str, list[Any]]:
    binary_place = "_binary %s" if connection.vendor == "mysql" else "%s"  # or it would be read as text
    head, places = _parts_of_insertion(model, names, binary_place)
    values = [value for row in rows for value in _prepared(connection, _fields(model, names), row)]
    return f"{head} VALUES {', '.join([places] * len(rows))}", values


@cache
def _parts_of_insertion(model: type[models.Model], names: tuple[str, ...], binary_place: str) -> tuple[str, str]:
    binary = (isinstance(field, models.BinaryField) for field in _fields(model, names))
    places = ", ".join(binary_place if is_binary else "%s" for is_binary in binary)
    return f"INSERT INTO {model._meta.db_table} ({', '.join(names)})", f"({places})"


@cache
def _all_but_the_key(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields if not field.primary_key)


@cache
def _fields(model: type[models.Model], names: tuple[str, ...]) -> list[Any]:
    return [model._meta.get_field(name) for name in names]


def _prepared(connection: Any, fields: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    return [
        value if type(value) in PLAIN else field.get_db_prep_save(value, connection)
        for field, value in zip(fields, values, strict=True)
    ]
