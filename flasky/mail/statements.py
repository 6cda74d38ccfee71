"""Write rows past the ORM: it compiles a statement for each, which takes longer than the database needs for the row."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connections, models

PLAIN = (str, int, float, bool)  # every database driver takes these as they are


def insert(instance: models.Model, using: str) -> None:
    """Insert a new instance and give it its key. Nobody hears a signal, and nobody needs one."""
    connection, meta = connections[using], instance._meta
    fields: list[Any] = [field for field in meta.concrete_fields if not field.primary_key]
    returning = " RETURNING id" if connection.features.can_return_columns_from_insert else ""
    statement = _insertion(connection, type(instance), fields) + returning
    values = _prepared(connection, fields, [getattr(instance, field.attname) for field in fields])
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        instance.pk = cursor.fetchone()[0] if returning else cursor.lastrowid
    instance._state.adding, instance._state.db = False, using


def insert_many(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]], using: str) -> None:
    """Insert a row for each sequence of values, which are in the order of the columns' names."""
    fields = [model._meta.get_field(name) for name in names]
    _execute_many(_insertion(connections[using], model, fields), fields, rows, using)


def update_many(
    model: type[models.Model], names: Sequence[str], guards: Sequence[str], rows: Iterable[Sequence[Any]], using: str
) -> Any:
    """Write the values of `names` where the `guards` are met, for each sequence of first those, then these values.

    Return the cursor, whose `rowcount` is the number of rows written.
    """
    changes, conditions = (f"{name} = %s" for name in names), (f"{name} = %s" for name in guards)
    statement = f"UPDATE {model._meta.db_table} SET {', '.join(changes)} WHERE {' AND '.join(conditions)}"  # noqa: S608
    return _execute_many(statement, [model._meta.get_field(name) for name in (*names, *guards)], rows, using)


def _insertion(connection: Any, model: type[models.Model], fields: Sequence[Any]) -> str:
    columns = ", ".join(field.column for field in fields)
    places = ", ".join(_placeholder(connection, field) for field in fields)
    return f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({places})"  # noqa: S608 (our own names)


def _placeholder(connection: Any, field: Any) -> str:
    return connection.ops.binary_placeholder_sql(b"") if isinstance(field, models.BinaryField) else "%s"


def _execute_many(statement: str, fields: Sequence[Any], rows: Iterable[Sequence[Any]], using: str) -> Any:
    connection = connections[using]
    cursor = connection.cursor()
    cursor.executemany(statement, [_prepared(connection, fields, row) for row in rows])
    return cursor


def _prepared(connection: Any, fields: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    return [
        value if type(value) in PLAIN else field.get_db_prep_save(value, connection)
        for field, value in zip(fields, values, strict=True)
    ]
