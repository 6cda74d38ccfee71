"""Say what the migrations that wait would lock."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _

from flasky.mail.migrating.announcing import announce


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Say which tables that have rows the next migrate would lock, and for how long. Nothing is changed."
        )
        which = _("the database, by its alias in DATABASES")
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, choices=tuple(connections), metavar="ALIAS", help=which
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not announce(plan, connection, self.stdout):
            waiting = _("The migrations that wait lock no table that has rows.")
            self.stdout.write(waiting if plan else _("No migration waits."))
