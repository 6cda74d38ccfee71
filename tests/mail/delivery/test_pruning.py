"""flasky.mail.delivery.pruning: once a day, one of all processes removes what is old."""

import logging
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import DatabaseError
from django.utils import timezone

from flasky.mail.delivery import pruning
from flasky.mail.delivery.pruning import DailyPruning
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import DailyTask, OutboxMessage, OutboxMessageQuerySet, State
from tests.conftest import running, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def looking_at_once(monkeypatch):
    monkeypatch.setattr(pruning, "LOOK_INTERVAL", 0)


def store_old(days=91):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    then = timezone.now() - timedelta(days=days)
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=State.SENT, finished_at=then)


def prune():
    """Look once, and wait for what it leads to; return whether it was our turn."""
    daily = DailyPruning()
    daily.begin_if_due()
    if daily._thread:
        daily._thread.join()
    return bool(daily._thread)


def test_a_process_that_delivers_prunes_by_itself_and_says_so_once(settings, caplog):
    caplog.set_level(logging.INFO, "flasky.mail")
    settings.MAIL_SWEEP_INTERVAL = 0.05
    store_old(), store_old(15)
    with running(Worker()):
        wait_until(lambda: "Pruned" in caplog.text)
    assert [message.is_pruned for message in OutboxMessage.objects.all()] == [True]
    assert caplog.text.count("Pruned: 1 messages and the bodies of 1 others removed.") == 1


def test_of_all_processes_one_does_it_once_a_day():
    assert [prune() for _ in range(3)] == [True, False, False]
    DailyTask.objects.update(begun_at=timezone.now() - timedelta(hours=25))
    assert [prune() for _ in range(3)] == [True, False, False]


def test_the_setting_turns_it_off(settings):
    settings.MAIL_PRUNE = False
    store_old()
    assert not prune()
    assert OutboxMessage.objects.count() == 1


def test_the_ages_are_those_of_the_settings_and_0_is_for_ever(settings):
    settings.MAIL_KEEP_DAYS, settings.MAIL_KEEP_BODIES = 0, 3
    store_old(1000), store_old(2)
    assert prune()
    assert [message.is_pruned for message in OutboxMessage.objects.order_by("pk")] == [True, False]


def test_between_two_looks_a_process_asks_nothing(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(pruning, "LOOK_INTERVAL", 600)
    daily = DailyPruning()
    with django_assert_num_queries(0):
        daily.begin_if_due()


def test_a_process_that_stops_ends_after_a_batch(monkeypatch):
    monkeypatch.setattr("flasky.mail.models.batches.BATCH", 1)
    store_old(), store_old(), store_old()
    daily, deleted = DailyPruning(), OutboxMessageQuerySet._delete_batch

    def delete_one_and_stop(self, batch):
        daily._stopping.set()
        return deleted(self, batch)

    monkeypatch.setattr(OutboxMessageQuerySet, "_delete_batch", delete_one_and_stop)
    daily.begin_if_due()
    daily._thread.join()
    daily.stop()
    assert OutboxMessage.objects.count() == 2


def test_a_database_that_fails_is_logged_and_ends_nothing_else(monkeypatch, caplog):
    def fail(*arguments):
        raise DatabaseError("disk I/O error")

    monkeypatch.setattr(OutboxMessageQuerySet, "prune", fail)
    assert prune()
    assert "manage.py prune_mail does it, or the next day" in caplog.text
