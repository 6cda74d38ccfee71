"""Operations for migrations of large tables: what they do takes no lock that storing would wait for."""

from typing import Any

from django.db import migrations

INVALID = """
SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid
"""
PARTITIONED = """
SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind = 'p'
"""


class AddIndexOnline(migrations.AddIndex):
    """Build an index while rows are written: on PostgreSQL CONCURRENTLY, elsewhere as AddIndex does.

    Its migration must have `atomic = False`. It may be run again after it was interrupted.
    """

    atomic = False

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if schema_editor.connection.vendor != "postgresql" or not self.allow_migrate_model(
            schema_editor.connection.alias, model
        ):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        quoted = schema_editor.quote_name
        if _finds(schema_editor, INVALID, quoted(self.index.name)):  # of a run that was interrupted
            schema_editor.execute(f"DROP INDEX CONCURRENTLY {quoted(self.index.name)}")
        # A partitioned table takes none CONCURRENTLY.
        is_whole = not _finds(schema_editor, PARTITIONED, quoted(model._meta.db_table))
        schema_editor.add_index(model, self.index, concurrently=is_whole)

    def describe(self) -> str:
        return f"{super().describe()} while rows are written"


def _finds(schema_editor: Any, query: str, name: str) -> bool:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(query, [name])
        return cursor.fetchone() is not None
