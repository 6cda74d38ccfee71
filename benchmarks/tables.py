"""What happens to a subject's tables between two rounds."""

from django.core.management.color import no_style
from django.db import connection
from django.db.models import DateTimeField


def empty(*models):
    tables = [model._meta.db_table for model in models]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables, allow_cascade=True))
    settle()


def settle():
    """Do now what the database would otherwise do in the midst of a measurement."""
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"ANALYZE TABLE {', '.join(map(quoted, connection.introspection.table_names(cursor)))}")
            cursor.fetchall()
        else:
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def copy_row(original, count, apart):
    """Insert `count` copies of a row, each `apart` s older than the one before."""
    fields = [field for field in original._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(quoted(field.column) for field in fields)
    values = ", ".join(value(field, apart) for field in fields)
    table, key = quoted(original._meta.db_table), quoted(original._meta.pk.column)
    if count > 0:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table}, {series(count)} WHERE {key} = %s",
                [original.pk],
            )


def series(count):
    """Return what is read as a table `series` of the numbers `count` to 1 in its column `n`: the oldest first."""
    if connection.vendor == "postgresql":
        return f"generate_series({count}, 1, -1) AS series(n)"
    if connection.vendor == "mysql":
        return f"(SELECT seq AS n FROM seq_{count}_to_1) AS series"
    numbers = f"SELECT {count} AS n UNION ALL SELECT n - 1 FROM numbers LIMIT {count}"
    return f"(WITH RECURSIVE numbers(n) AS ({numbers}) SELECT n FROM numbers) AS series"


EARLIER = {
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', {column}, '-' || (series.n * {apart}) || ' seconds')",
    "postgresql": "{column} - series.n * {apart} * interval '1 second'",
    "mysql": "{column} - INTERVAL (series.n * {apart}) SECOND",
}


def value(field, apart):
    """Return the copy's value: moments must differ, as they do in life, or an index would have one entry only."""
    column = quoted(field.column)
    if isinstance(field, DateTimeField):
        return EARLIER[connection.vendor].format(column=column, apart=apart)
    if field.name == "message_id":
        return f"CONCAT({column}, series.n)" if connection.vendor == "mysql" else f"{column} || series.n"
    return column


def copy_related(original):
    """Give the copies of a row, which follow it, copies of what refers to it."""
    owner = original._meta
    for relation in owner.related_objects:
        model, link = relation.related_model._meta, relation.field.column
        fields = [one.column for one in model.concrete_fields if not one.primary_key or one.column == link]
        columns = ", ".join(map(quoted, fields))
        values = ", ".join(f"owner.{owner.pk.column}" if column == link else f"one.{column}" for column in fields)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {quoted(model.db_table)} ({columns}) SELECT {values} "
                f"FROM {quoted(model.db_table)} one, {quoted(owner.db_table)} owner "
                f"WHERE one.{link} = %s AND owner.{owner.pk.column} > %s",
                [original.pk, original.pk],
            )


def quoted(name):
    return connection.ops.quote_name(name)
