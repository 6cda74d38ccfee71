"""flasky.guard.deadlocks: what is tried again, and how often."""

import pytest
from django.db import OperationalError, connection, transaction

from flasky.guard import deadlocks
from flasky.guard.deadlocks import DEADLOCKS, despite_deadlocks

DEADLOCK = OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")


class Work:
    def __init__(self, *failures):
        self.failures, self.tries = list(failures), 0

    def __call__(self):
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        return "done"


@pytest.fixture(autouse=True)
def in_haste(monkeypatch):
    monkeypatch.setattr(deadlocks, "LONGEST_PAUSE", 0)


@pytest.mark.django_db(transaction=True)
def test_what_a_deadlock_has_ended_is_done_again():
    work = Work(DEADLOCK, DEADLOCK)
    assert (despite_deadlocks(work, connection), work.tries) == ("done", 3)


@pytest.mark.django_db(transaction=True)
def test_there_is_an_end_to_it():
    work = Work(*[DEADLOCK] * 100)
    with pytest.raises(OperationalError):
        despite_deadlocks(work, connection)
    assert work.tries == DEADLOCKS + 1


@pytest.mark.django_db(transaction=True)
def test_another_failure_is_told_at_once():
    work = Work(OperationalError("the server has gone away"))
    with pytest.raises(OperationalError, match="gone away"):
        despite_deadlocks(work, connection)
    assert work.tries == 1


@pytest.mark.django_db
def test_inside_a_transaction_which_is_lost_with_it_nothing_is_done_again():
    work = Work(DEADLOCK)
    with transaction.atomic(), pytest.raises(OperationalError):
        despite_deadlocks(work, connection)
    assert work.tries == 1
