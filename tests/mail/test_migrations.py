"""The migrations that change what is stored already."""

from datetime import datetime, timedelta, timezone

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def before_the_index(transactional_db):
    """The database as it was when the search had no index; afterwards it is up to date again."""
    newest = [node for node in MigrationExecutor(connection).loader.graph.leaf_nodes() if node[0] == "mail"]
    yield migrate([("mail", "0004_what_became_of_each")])
    migrate(newest)


def migrate(targets):
    """Return the models as they are then."""
    return MigrationExecutor(connection).migrate(targets).apps


def store(apps, stored_at, recipients, **fields):
    model = apps.get_model("mail", "OutboxMessage")
    return model.objects.create(created_at=stored_at, recipients=recipients, content=b"x", **fields).pk


def test_recipients_that_are_stored_already_are_found_with_the_time_of_their_message(before_the_index):
    alone = store(before_the_index, NOON, ["Ann@Example.com"])
    an_hour_later = NOON + timedelta(hours=1)
    together = store(before_the_index, an_hour_later, ["Ann@Example.com", "Bob@Example.com", "c@example.com"])
    nobody = store(before_the_index, NOON, [])

    apps = migrate([("mail", "0005_what_is_stored_already")])

    first = dict(apps.get_model("mail", "OutboxMessage").objects.values_list("pk", "first_recipient"))
    assert first == {alone: "ann@example.com", together: "ann@example.com", nobody: ""}
    further = apps.get_model("mail", "FurtherRecipient").objects.order_by("pk")
    assert list(further.values_list("message", "address", "created_at")) == [
        (together, "bob@example.com", an_hour_later),
        (together, "c@example.com", an_hour_later),
    ]


def test_what_has_ended_already_is_counted_by_the_hour(before_the_index):
    for state, minutes in (("sent", 0), ("sent", 59), ("failed", 59), ("sent", 60), ("cancelled", 0)):
        store(before_the_index, NOON, [], state=state, finished_at=NOON + timedelta(minutes=minutes))
    store(before_the_index, NOON, [])

    apps = migrate([("mail", "0005_what_is_stored_already")])

    tallies = apps.get_model("mail", "Tally").objects.order_by("hour")
    assert list(tallies.values_list("hour", "sent", "failed")) == [(NOON, 2, 1), (NOON + timedelta(hours=1), 1, 0)]
