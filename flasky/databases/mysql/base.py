"""Connect to MariaDB and MySQL as Django does, through a gate, and search in any case whatever a column's collation."""

from django.db.backends.mysql import base

from flasky.databases.gate import Gated


class DatabaseWrapper(Gated, base.DatabaseWrapper):
    # Django leaves that to the collation, and names of users are told apart by their case.
    operators: dict[str, str] = base.DatabaseWrapper.operators | {"icontains": "LIKE %s COLLATE utf8mb4_unicode_ci"}
