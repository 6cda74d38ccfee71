"""Update rows and read them with one statement, which the ORM does not do."""

from collections.abc import Iterable
from typing import Any

from django.db import connections, models
from django.db.models.sql import UpdateQuery


def can_return_from_update(connection: Any) -> bool:
    """Tell whether an UPDATE may have RETURNING, as an INSERT may: not on MariaDB, where only the INSERT may."""
    return bool(connection.features.can_return_columns_from_insert) and connection.vendor in ("postgresql", "sqlite")


def update_returning(rows: models.QuerySet[Any, Any], values: dict[str, Any], names: Iterable[str]) -> list[Any]:
    """Update the rows and return them, in no order, with the values of the columns called `names` and the key."""
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(values)
    connection = connections[rows.db]
    statement, parameters = query.get_compiler(connection=connection).as_sql()
    columns = (connection.ops.quote_name(rows.model._meta.get_field(name).column) for name in ("id", *names))
    return list(rows.model._base_manager.using(rows.db).raw(f"{statement} RETURNING {', '.join(columns)}", parameters))
