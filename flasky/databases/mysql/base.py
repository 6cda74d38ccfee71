"""Connect to MariaDB and MySQL as Django does, through a gate."""

from django.db.backends.mysql import base

from flasky.databases.gate import Gated


class DatabaseWrapper(Gated, base.DatabaseWrapper):
    pass
