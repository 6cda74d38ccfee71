"""Statements of delivery that are written once: to compile them anew cost more than the rest of a single mail's way."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connections, models
from django.db.models.base import ModelState
from django.db.models.sql import UpdateQuery

from flasky.mail.conf import conf
from flasky.mail.models.leases import end_of_lease
from flasky.mail.models.states import Priority, State

Model = type[models.Model]


def count_due(model: Model, using: str, now: datetime, enough: int) -> list[int]:
    """Return how many messages of each priority are due, and `enough` if there are more, with one statement."""
    connection: Any = connections[using]
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(*_count(model, using, enough, moment))
        return list(cursor.fetchone())


def _count(model: Model, using: str, enough: int, moment: Any) -> tuple[str, list[Any]]:
    due = _due(model, using)
    counts = (f"(SELECT COUNT(*) FROM (SELECT 1 AS one {due} LIMIT {enough}) AS {name})" for name in Priority.values)  # noqa: S608
    values = [value for priority in Priority.values for value in (State.QUEUED.value, priority, moment)]
    return f"SELECT {', '.join(counts)}", values


def candidates(
    model: Model, using: str, priority: str, now: datetime, limit: int, queued_until: datetime | None
) -> list[tuple[int, int]]:
    """Return keys and sizes of content of the first that are due, locked where rows can be; others' are left out."""
    connection: Any = connections[using]
    can_skip = bool(connection.features.has_select_for_update_skip_locked)
    statement = _candidates(model, using, limit, queued_until is not None, can_skip)
    values: list[Any] = [State.QUEUED.value, priority]
    values += [connection.ops.adapt_datetimefield_value(moment) for moment in (now, queued_until) if moment]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


@lru_cache(maxsize=256)
def _candidates(model: Model, using: str, limit: int, is_about_old_ones: bool, can_skip: bool) -> str:
    connection: Any = connections[using]
    old = f" AND {_quoted(using, 'queued_at')} <= %s" if is_about_old_ones else ""
    columns = f"{_quoted(using, 'id')}, LENGTH({_quoted(using, 'content')}) AS size"
    order = f"ORDER BY {_quoted(using, 'next_attempt_at')}, {_quoted(using, 'id')} LIMIT {limit}"
    lock = f" {connection.ops.for_update_sql(skip_locked=True)}" if can_skip else ""
    return f"SELECT {columns} {_due(model, using)}{old} {order}{lock}"


@lru_cache(maxsize=16)
def _due(model: Model, using: str) -> str:
    state, priority, due_at = (_quoted(using, name) for name in ("state", "priority", "next_attempt_at"))
    return f"FROM {_quoted(using, model._meta.db_table)} WHERE {state} = %s AND {priority} = %s AND {due_at} <= %s"


def take(model: Model, using: str, keys: list[int], token: UUID, holder: str, names: tuple[str, ...]) -> list[Any]:
    """Claim those that are queued still; return them, in no order, with the columns called `names`."""
    connection: Any = connections[using]
    statement, places = _taking(model, using, conf.MAIL_LEASE)
    said = {_TOKEN: _prepared(model, connection, token), _HOLDER: holder}
    values = [said.get(value, value) for value in places]
    statement = f"{statement} AND {_quoted(using, 'id')} IN ({', '.join(['%s'] * len(keys))})"
    can_return = can_return_from_update(connection)
    if can_return:
        statement += f" RETURNING {', '.join(_quoted(using, name) for name in ('id', *names))}"
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, *keys])
        if can_return:
            return _instances(model, connection, ("id", *names), cursor.fetchall())
    return list(models.QuerySet(model, using=using).filter(pk__in=keys, claim_token=token).only(*names))


def _instances(model: Model, connection: Any, names: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> list[Any]:
    """Make instances with these columns alone, as unpickling does: no signal tells of them."""
    read = _reading(model, connection.alias, names)
    found = []
    for row in rows:
        values = list(row)
        for place, convert, expression in read:
            values[place] = convert(values[place], expression, connection)
        instance: Any = model.__new__(model)
        instance._state = ModelState()
        instance._state.adding, instance._state.db = False, connection.alias
        instance.__dict__.update(zip(names, values, strict=True))
        found.append(instance)
    return found


@lru_cache(maxsize=16)
def _reading(model: Model, using: str, names: tuple[str, ...]) -> list[tuple[int, Any, Any]]:
    """Return what makes Python's values of the database's: the place in a row, the function, and its expression."""
    connection: Any = connections[using]
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = [field.get_col(model._meta.db_table) for field in fields]
    return [
        (place, convert, column)
        for place, column in enumerate(columns)
        for convert in [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
    ]


def can_return_from_update(connection: Any) -> bool:
    """Tell whether an UPDATE may have RETURNING, as an INSERT may: not on MariaDB, where only the INSERT may."""
    return bool(connection.features.can_return_columns_from_insert) and connection.vendor in ("postgresql", "sqlite")


_TOKEN, _HOLDER = UUID(int=1), "the holder"


@lru_cache(maxsize=16)
def _taking(model: Model, using: str, lease: float) -> tuple[str, tuple[Any, ...]]:
    """Return the statement without its keys, and its values with places for token and holder. `lease` is in s."""
    connection: Any = connections[using]
    claim = {
        "state": State.SENDING,
        "claim_token": _TOKEN,
        "claimed_by": _HOLDER,
        "lease_expires_at": end_of_lease(),
    }
    query: Any = models.QuerySet(model, using=using).filter(state=State.QUEUED).query.chain(UpdateQuery)
    query.add_update_values(claim)
    statement, values = query.get_compiler(connection=connection).as_sql()
    place = _prepared(model, connection, _TOKEN)
    return statement, tuple(_TOKEN if value == place else value for value in values)


def _prepared(model: Model, connection: Any, token: UUID) -> Any:
    field: Any = model._meta.get_field("claim_token")
    return field.get_db_prep_save(token, connection)


def _quoted(using: str, name: str) -> str:
    return str(connections[using].ops.quote_name(name))
