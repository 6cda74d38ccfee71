"""A person who requeues or removes mail, and whoever else changes it meanwhile: both orders of each race."""

import pytest

from flasky.mail.models import OutboxMessage, State
from tests.actors import ACCEPTED, LOCKING, POSTPONED, REFUSED, WRITING, Actor, claim, end, store

pytestmark = pytest.mark.django_db(transaction=True)


def failed():
    message = store()
    end(claim(), REFUSED)
    return message


def test_a_requeue_that_is_slower_than_another_and_the_claim_after_it_changes_nothing():
    message = failed()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    assert OutboxMessage.objects.requeue() == 1
    claimed = claim()
    assert person.result() == 0
    message.refresh_from_db()
    assert (message.state, message.claim_token) == (State.SENDING, claimed.claim_token)


def test_a_worker_who_looks_before_the_requeue_is_written_finds_nothing():
    failed()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    assert OutboxMessage.objects.claim(1) == []
    assert person.result() == 1
    assert len(OutboxMessage.objects.claim(1)) == 1


def test_a_requeue_that_is_slower_than_a_whole_delivery_forgets_no_acceptance():
    """Held, requeued by another, accepted for one of two, held again: the state is the one that was read."""
    store("b@example.com", "c@example.com")
    OutboxMessage.objects.hold()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    OutboxMessage.objects.requeue()
    assert end(claim(), {"b@example.com": ACCEPTED, "c@example.com": POSTPONED}) == State.QUEUED
    assert OutboxMessage.objects.hold() == 1
    person.result()
    assert OutboxMessage.objects.get().remaining_recipients == ["c@example.com"], "b gets it twice, in silence"


def test_a_requeue_that_is_slower_than_the_pruning_of_the_body_sends_no_empty_mail():
    message = failed()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    assert OutboxMessage.objects.prune_bodies() == 1
    assert person.result() == 0
    message.refresh_from_db()
    assert message.state == State.FAILED


def test_a_pruning_that_is_slower_than_the_requeue_removes_nothing():
    message = failed()
    bodies = Actor(OutboxMessage.objects.prune_bodies, before=WRITING)
    rows = Actor(OutboxMessage.objects.prune, before=LOCKING)
    assert OutboxMessage.objects.requeue() == 1
    assert (bodies.result(), rows.result()) == (0, 0)
    message.refresh_from_db()
    assert message.state == State.QUEUED
    assert message.content
