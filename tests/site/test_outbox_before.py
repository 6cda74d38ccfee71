"""A database that an earlier version made is brought up to date by `migrate`, on each kind of database."""

import json
import os
import subprocess
import sys

import pytest

from tests.databases import SUITE, empty_database

BEFORE = "tests.site.outbox_before.settings"
# The models of then by their names of now.
RENAMED = {
    "Tally": "HourlyCount",
    "Deliverer": "Process",
    "Seat": "ConnectionSlot",
    "RelayTrouble": "RelayOutage",
}
LOOK = """
import json
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
models = {model.__name__: model for model in apps.get_app_config("flasky_mail").get_models()}
message = models["OutboxMessage"].objects.get(state="held")
print(json.dumps({
    "rows": {name: model.objects.count() for name, model in models.items()},
    "states": list(models["OutboxMessage"].objects.order_by("pk").values_list("state", flat=True)),
    "subject": message.subject,
    "content": list(message.content),
    "recipients": [message.first_recipient, message.recipients],
    "search": models["FurtherRecipient"].objects.filter(address="eve@example.com").count(),
    "outcomes": list(message.attempts.values_list("outcome", flat=True)),
    "unknown_codes": [
        value for rows in (message.attempts.all(), message.actions.all()) for row in rows
        for field in row._meta.fields if field.choices
        if (value := getattr(row, field.attname)) not in dict(field.choices)
    ],
    "left": [name for name in connection.introspection.table_names() if name.startswith("mail_")],
    "recorded": MigrationRecorder(connection).migration_qs.filter(app="mail").count(),
    "content_types": dict(ContentType.objects.filter(model="outboxmessage").values_list("app_label", "pk")),
    "next": models["OutboxMessage"].objects.create(from_header="x", content=b"").pk,
}))
"""


def python(url, settings, *arguments):
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": settings}
    command = [sys.executable, *arguments]
    finished = subprocess.run(command, env=environment, timeout=120, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def migrate(url):
    python(url, "flasky.settings", "manage.py", "migrate", "--verbosity=0")


def look(url):
    return json.loads(python(url, "flasky.settings", "manage.py", "shell", "--verbosity=0", "--command", LOOK))


@pytest.fixture
def made_by(tmp_path):
    """Return the URL of a database of an earlier version with messages in every state, and what is in it."""

    def make(version):
        url = empty_database(tmp_path)
        python(url, BEFORE, "manage.py", "migrate", "--verbosity=0", "--skip-checks", "contenttypes")
        python(url, BEFORE, "manage.py", "migrate", "--verbosity=0", "--skip-checks", "mail", version)
        return url, json.loads(python(url, BEFORE, "-m", "tests.site.outbox_before.fill"))

    return make


@pytest.mark.parametrize("version", ["0014", "0011", "0004", "0001"])
def test_migrate_moves_everything_that_an_earlier_version_has_stored(made_by, version):
    url, before = made_by(version)

    migrate(url)

    after = look(url)
    expected = {RENAMED.get(name, name): count for name, count in before["rows"].items()}
    if version < "0005":  # these are made from the messages
        expected |= {"FurtherRecipient": 6, "HourlyCount": 1}
    if version == "0001":
        expected.setdefault("Action", 0)
    assert {name: after["rows"][name] for name in expected} == expected
    assert after["states"] == ["queued", "sending", "sent", "failed", "held", "cancelled"]
    assert after["subject"] == "Grüße held 中文 🐍"
    assert after["content"] == list(range(256))
    assert after["recipients"] == ["bob@example.com", ["Bob@Example.com", "eve@example.com"]]
    assert after["search"] == 6
    assert len(after["outcomes"]) == 6
    assert after["unknown_codes"] == []
    assert (after["left"], after["recorded"]) == ([], 0)
    assert after["content_types"] == {"flasky_mail": before["content_type"]}
    assert after["next"] == before["highest"] + 1


def test_a_move_that_was_interrupted_goes_on_where_it_was(made_by):
    url, before = made_by("0014")
    script = """
from django.apps import apps
from django.db import connection
from importlib import import_module
steps = import_module("flasky.site.migrations.0001_outbox_of_before")
steps.copy_rows(connection, apps.get_model("flasky_mail", "OutboxMessage"), "mail_outboxmessage", *steps.MODELS[0][2:])
"""
    python(url, "flasky.settings", "manage.py", "migrate", "--verbosity=0", "flasky_mail")
    python(url, "flasky.settings", "manage.py", "shell", "--verbosity=0", "--command", script)

    migrate(url)

    assert look(url)["rows"]["OutboxMessage"] == before["rows"]["OutboxMessage"]


STORED_MEANWHILE = """
from importlib import import_module
from django.core.management import call_command
from django.db import connection
steps = import_module("flasky.site.migrations.0001_outbox_of_before")
other, go_on_counting = connection.copy(), steps.go_on_counting
def store(connection, table, before):
    steps.go_on_counting = go_on_counting
    with other.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mail_outboxmessage SELECT (jsonb_populate_record(message, jsonb_build_object('id', nextval("
            "pg_get_serial_sequence('mail_outboxmessage', 'id'))))).* FROM mail_outboxmessage message LIMIT 1")
    other.close()
    go_on_counting(connection, table, before)
steps.go_on_counting = store
call_command("migrate", verbosity=0)
"""


@pytest.mark.skipif(SUITE.scheme != "postgres", reason="elsewhere nobody can store during the transaction, or none is")
def test_what_a_process_of_before_stores_during_the_copying_is_kept(made_by):
    url, before = made_by("0014")

    python(url, "flasky.settings", "manage.py", "shell", "--verbosity=0", "--command", STORED_MEANWHILE)

    assert look(url)["rows"]["OutboxMessage"] == before["rows"]["OutboxMessage"] + 1
