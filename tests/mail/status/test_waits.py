"""flasky.mail.status.waits: how long messages take from stored to accepted."""

from datetime import timedelta

import pytest
from django.core.mail import send_mail
from django.utils import timezone

from flasky.mail.models import Attempt, OutboxMessage
from flasky.mail.status import waits
from flasky.mail.status.waits import waited

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def accept(after, outcome=Attempt.Outcome.ACCEPTED):
    send_mail("Hi", "Hello", None, ["bob@example.com"])
    message = OutboxMessage.objects.latest("pk")
    OutboxMessage.objects.filter(pk=message.pk).update(queued_at=NOW)
    message.attempts.create(outcome=outcome, started_at=NOW + timedelta(seconds=after - 1), seconds=1)


def test_nothing_was_accepted():
    accept(3, Attempt.Outcome.REFUSED)
    assert waited() is None


def test_one_is_both():
    accept(3)
    assert waited() == (1, 3, 3)


def test_the_median_and_the_95th_percentile_of_what_was_accepted():
    for after in range(21):
        accept(after)
    accept(500, Attempt.Outcome.POSTPONED)
    assert waited() == (21, 10, 19)


def test_only_the_newest_are_read(monkeypatch):
    monkeypatch.setattr(waits, "NEWEST", 1)
    accept(500)
    accept(2)
    assert waited() == (1, 2, 2)
