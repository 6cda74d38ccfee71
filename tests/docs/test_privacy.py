"""docs/privacy.md against the models: each table of ours with each column, and no other."""

import re

from django.apps import apps

from tests.docs.pages import ROOT, rows

PAGE = (ROOT / "docs/privacy.md").read_text("utf-8")
OURS = ("accounts", "faults", "flasky_mail", "guard")


def test_every_table_and_every_column_is_on_the_page_and_no_other():
    kept = {
        model._meta.db_table: {field.column for field in model._meta.concrete_fields}
        for label in OURS
        for model in apps.get_app_config(label).get_models()
    }
    told = {cells[0].strip("`"): set(re.findall("`([a-z_]+)`", cells[1])) for cells in rows(PAGE, 3)}
    assert told == kept, "Say in docs/privacy.md what is kept, and in bold if it may be about a person."
