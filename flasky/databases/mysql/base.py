"""Django's backend for MariaDB and MySQL, whose connections come through a gate."""

from django.db.backends.mysql import base

from flasky.databases.gate import Gated


class DatabaseWrapper(Gated, base.DatabaseWrapper):
    pass
