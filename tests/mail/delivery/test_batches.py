"""flasky.mail.delivery.batches: how many messages a thread claims at once."""

import pytest

from flasky.mail.delivery import batches
from flasky.mail.delivery.batches import CLAIM_LIMIT, Batch, next_batch
from flasky.mail.models import OutboxMessage, Priority
from tests.mail.delivery.test_engine import store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_is_believed(monkeypatch):
    monkeypatch.setattr(batches, "_claims_left", 0)


@pytest.fixture
def four_threads(settings):
    settings.MAIL_WORKERS = 4


@pytest.fixture
def plenty(four_threads):
    """As many messages as four threads claim at once."""
    message = store()
    OutboxMessage.objects.bulk_create([copy_of(message) for _ in range(4 * CLAIM_LIMIT - 1)])


def copy_of(message):
    fields = {field.name: getattr(message, field.name) for field in message._meta.concrete_fields if field.name != "id"}
    return OutboxMessage(**fields)


def test_threads_share_what_is_due(four_threads):
    """Otherwise the first would take all, and the others would stand idle while the relay is slow."""
    for _ in range(8):
        store()
    assert next_batch(pace=0.001) == Batch(2, [Priority.NORMAL], True)
    assert next_batch(pace=0.5).size == 2
    assert next_batch(pace=30).size == 1
    OutboxMessage.objects.all().delete()
    assert next_batch(pace=0.001) == Batch(0, [], True)


def test_threads_share_what_is_most_urgent(four_threads):
    for priority in ["normal"] * 8 + ["urgent"] * 5 + ["bulk"]:
        store(priority=priority)
    assert next_batch(pace=0.001) == Batch(2, [Priority.URGENT, Priority.NORMAL, Priority.BULK], True)


def test_where_there_is_enough_for_all_threads_one_counts_for_the_others(plenty, django_assert_num_queries):
    with django_assert_num_queries(2):
        counts = [next_batch(pace=0.001) for _ in range(5)]
    assert [batch.is_counted for batch in counts] == [True, False, False, False, True]
    assert {batch.size for batch in counts} == {CLAIM_LIMIT}


def test_where_there_is_less_each_thread_counts(plenty, django_assert_num_queries):
    OutboxMessage.objects.first().delete()
    with django_assert_num_queries(3):
        assert all(next_batch(pace=0.001).is_counted for _ in range(3))


def test_what_was_counted_is_believed_for_a_moment_only(plenty, monkeypatch):
    assert next_batch(pace=0.001).is_counted
    monkeypatch.setattr(batches, "_believed_until", 0)
    assert next_batch(pace=0.001).is_counted


def test_a_slow_relay_gets_fewer_at_once_whatever_was_counted(plenty):
    assert next_batch(pace=0.001).is_counted
    assert next_batch(pace=0.5) == Batch(2, [Priority.NORMAL], False)
