"""Write rows past the ORM: it compiles a statement for each, which takes longer than the database needs for the row."""

from collections.abc import Sequence
from typing import Any

from django.db import models

PLAIN = (str, int, float, bool)  # every database driver takes these as they are


def insert(instance: models.Model, connection: Any) -> None:
    """Insert a new instance and give it its key. Nobody hears a signal, and nobody needs one."""
    fields: list[Any] = [field for field in instance._meta.concrete_fields if not field.primary_key]
    returning = " RETURNING id" if connection.features.can_return_columns_from_insert else ""
    statement, values = _insertion(connection, fields, [[getattr(instance, field.attname) for field in fields]])
    with connection.cursor() as cursor:
        cursor.execute(statement + returning, values)
        instance.pk = cursor.fetchone()[0] if returning else cursor.lastrowid
    instance._state.adding, instance._state.db = False, connection.alias


def insert_many(
    model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]], connection: Any
) -> None:
    """Insert a row for each sequence of values, which are in the order of the columns' names, with one statement."""
    with connection.cursor() as cursor:
        cursor.execute(*_insertion(connection, [model._meta.get_field(name) for name in names], rows))


def update_many(
    model: type[models.Model],
    names: Sequence[str],
    guards: Sequence[str],
    rows: Sequence[Sequence[Any]],
    connection: Any,
) -> Any:
    """Write the values of `names` where the `guards` are met, for each sequence of first those, then these values.

    Return the cursor, whose `rowcount` is the number of rows written.
    """
    changes, conditions = (f"{name} = %s" for name in names), (f"{name} = %s" for name in guards)
    statement = f"UPDATE {model._meta.db_table} SET {', '.join(changes)} WHERE {' AND '.join(conditions)}"  # noqa: S608
    fields = [model._meta.get_field(name) for name in (*names, *guards)]
    cursor = connection.cursor()
    cursor.executemany(statement, [_prepared(connection, fields, row) for row in rows])
    return cursor


def _insertion(connection: Any, fields: Sequence[Any], rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    columns = ", ".join(field.column for field in fields)
    places = ", ".join(_placeholder(connection, field) for field in fields)
    statement = (
        f"INSERT INTO {fields[0].model._meta.db_table} ({columns}) "  # noqa: S608 (all names are our own)
        f"VALUES {', '.join([f'({places})'] * len(rows))}"
    )
    return statement, [value for row in rows for value in _prepared(connection, fields, row)]


def _placeholder(connection: Any, field: Any) -> str:
    return connection.ops.binary_placeholder_sql(b"") if isinstance(field, models.BinaryField) else "%s"


def _prepared(connection: Any, fields: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    return [
        value if type(value) in PLAIN else field.get_db_prep_save(value, connection)
        for field, value in zip(fields, values, strict=True)
    ]
