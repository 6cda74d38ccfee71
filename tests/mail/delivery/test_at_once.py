"""flasky.mail.delivery.at_once: the function by which PostgreSQL writes several results, and those who have none."""

import re

import pytest
from django.db import connection, transaction

from flasky.mail.delivery import at_once
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.outcomes import result_of
from flasky.mail.models import Attempt, HourlyCount, OutboxMessage, State
from tests.actors import ACCEPTED, store

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="others have no function"),
]
READ = """
SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables
WHERE relname = 'flasky_mail_outboxmessage'
"""


def store_many(number):
    for _ in range(number):
        store()


def results(number):
    circumstances = {"server": "relay:25", "secured": False, "logged_in": False, "worker": "host 1 mail_0"}
    for message in OutboxMessage.objects.claim(number):
        details = circumstances | {"claim_token": message.claim_token, "started_at": message.queued_at}
        yield result_of(message, dict.fromkeys(message.recipients, ACCEPTED), details)


def rows_read():
    with connection.cursor() as cursor:
        cursor.execute(READ)
        return cursor.fetchone()[0]


def test_it_reads_the_messages_of_the_results_and_none_that_is_being_sent_besides():
    store_many(10)
    for result in results(10):  # so often that the plan is kept, of a table that is small
        at_once.write_at_once([result], connection)
    store_many(200)
    others = list(results(50))
    with transaction.atomic():
        before = rows_read()
        assert len(at_once.write_at_once(others[:4], connection)) == 4
        assert rows_read() - before <= 4 * 3


def test_it_writes_all_that_the_three_statements_of_other_databases_write(monkeypatch, relay):
    written = []
    for has_function in (True, False):
        monkeypatch.setattr(at_once, "_has_function", lambda using, has=has_function: has)
        store()
        deliver_due()
        written.append(columns_that_do_not_differ_by_chance())
    assert written[0] == written[1]
    assert not OutboxMessage.objects.exclude(state=State.SENT).exists()


def columns_that_do_not_differ_by_chance():
    """Return what is written of the newest message, and remove it."""
    message, attempt, count = OutboxMessage.objects.latest("pk"), Attempt.objects.latest("pk"), HourlyCount.objects
    found = {name: str(getattr(message, name)) for name in at_once.CHANGED if not name.endswith("_at")}
    noted = ("outcome", "reply", "server", "secured", "logged_in", "worker")
    found |= {name: str(getattr(attempt, name)) for name in noted}
    found = {name: re.sub("Queued as [0-9]+", "Queued", value) for name, value in found.items()}
    found["ended"] = message.finished_at > message.queued_at, message.claim_token, message.lease_expires_at
    found["noted"] = attempt.claim_token is not None, attempt.seconds > 0
    found["counts"] = list(count.values_list("sent", "failed", "accepted", "retries", "refused", "unknown"))
    for model in (HourlyCount, Attempt, OutboxMessage):
        model.objects.all().delete()
    return found
