"""flasky.mail.models: states and claims."""

import threading
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.utils import timezone

from flasky.mail.models import LEASE, OutboxMessage, State


def store(count=1):
    messages = []
    for number in range(count):
        email = EmailMessage(f"Mail {number}", "Hello", "a@example.com", ["b@example.com", "c@example.com"])
        email.send()
        messages.append(email.outbox_message)
    return messages if count > 1 else messages[0]


@pytest.fixture
def later(monkeypatch):
    """Move the clock forward."""

    def move(**span):
        moved = timezone.now() + timedelta(**span)
        monkeypatch.setattr("django.utils.timezone.now", lambda: moved)

    return move


pytestmark = pytest.mark.django_db


def test_a_stored_message_is_due_at_once():
    message = store()
    assert OutboxMessage.objects.due().get() == message


def test_a_claim_takes_the_oldest_first_and_no_more_than_asked():
    first, second, _ = store(3)
    assert [message.pk for message in OutboxMessage.objects.claim(2)] == [first.pk, second.pk]


def test_a_claimed_message_is_nobody_elses():
    store()
    [claimed] = OutboxMessage.objects.claim(10)
    assert claimed.state == State.SENDING
    assert claimed.lease_expires_at > timezone.now()
    assert OutboxMessage.objects.claim(10) == []


def test_each_claim_has_a_fresh_token():
    store()
    [first] = OutboxMessage.objects.claim(1)
    first.release()
    [second] = OutboxMessage.objects.claim(1)
    assert first.claim_token != second.claim_token


def test_a_message_for_later_is_not_due():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    claimed.retry_at(timezone.now() + timedelta(minutes=5), "451 later")
    assert not OutboxMessage.objects.due().exists()
    claimed.refresh_from_db()
    assert (claimed.state, claimed.attempt_count, claimed.last_reply) == (State.QUEUED, 1, "451 later")


def test_the_next_attempt_is_the_earliest_that_is_not_due_yet():
    now = timezone.now()
    for message, minutes in zip(store(3), (-1, 7, 3), strict=True):
        OutboxMessage.objects.filter(pk=message.pk).update(next_attempt_at=now + timedelta(minutes=minutes))
    assert OutboxMessage.objects.next_attempt_after(now) == now + timedelta(minutes=3)
    assert OutboxMessage.objects.next_attempt_after(now + timedelta(hours=1)) is None


def test_a_release_costs_no_attempt():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    assert claimed.release()
    released = OutboxMessage.objects.due().get()
    assert (released.attempt_count, released.claim_token) == (0, None)


def test_an_expired_lease_queues_the_message_again_with_the_doubt_noted(later):
    store()
    OutboxMessage.objects.claim(1)
    assert OutboxMessage.objects.release_expired() == 0
    later(seconds=LEASE.total_seconds() + 1)
    assert OutboxMessage.objects.release_expired() == 1
    assert OutboxMessage.objects.due().get().possible_duplicate


def test_a_renewed_lease_does_not_expire(later):
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    later(seconds=LEASE.total_seconds() - 5)
    OutboxMessage.objects.renew({claimed.claim_token})
    later(seconds=30)
    assert OutboxMessage.objects.release_expired() == 0


def test_a_holder_whose_lease_was_taken_over_changes_nothing(later):
    store()
    [slow] = OutboxMessage.objects.claim(1)
    later(seconds=LEASE.total_seconds() + 1)
    OutboxMessage.objects.release_expired()
    [rescuer] = OutboxMessage.objects.claim(1)
    assert not slow.finish(State.SENT, "250 too late")
    rescuer.refresh_from_db()
    assert (rescuer.state, rescuer.last_reply) == (State.SENDING, "")
    assert rescuer.finish(State.SENT, "250 Ok")


def test_what_is_settled_for_a_recipient_is_not_tried_again():
    message = store()
    message.outcomes = {"b@example.com": {"accepted": True, "reply": "250 Ok"}}
    assert message.remaining_recipients == ["c@example.com"]


def test_it_says_what_it_is():
    assert str(store()) == "Mail 0 (queued)"


def test_waiting_inside_a_transaction_is_refused_with_the_reason():
    message = store()
    with transaction.atomic(), pytest.raises(RuntimeError, match="commit first"):
        message.wait()


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_the_outcome():
    message = store()

    def finish():
        OutboxMessage.objects.claim(1)[0].finish(State.SENT, "250 Ok")
        connection.close()

    deliverer = threading.Thread(target=finish)
    deliverer.start()
    assert message.wait(timeout=20) == State.SENT
    assert message.last_reply == "250 Ok"
    deliverer.join()


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_the_time():
    assert store().wait(timeout=0) == State.QUEUED


@pytest.mark.django_db(transaction=True)
def test_simultaneous_claims_share_the_messages_out():
    """Eight threads, one table: every message is claimed by exactly one."""
    messages = store(80)
    start, claimed = threading.Barrier(8), []

    def claim_all():
        start.wait()
        while batch := OutboxMessage.objects.claim(3):
            claimed.extend(message.pk for message in batch)
        connection.close()

    threads = [threading.Thread(target=claim_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == [message.pk for message in messages]
