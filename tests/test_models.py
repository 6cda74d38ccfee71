"""flasky.mail.models: states and claims."""

import threading
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from flasky.mail.models import LOST_CLAIMS_UNTIL_HELD, Attempt, OutboxMessage, RelayTrouble, State


def store(count=1):
    messages = []
    for number in range(count):
        email = EmailMessage(f"Mail {number}", "Hello", "a@example.com", ["b@example.com", "c@example.com"])
        email.send()
        messages.append(email.outbox_message)
    return messages if count > 1 else messages[0]


def expire_leases():
    """Let a lease pass, without waiting for it."""
    OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=Now() - timedelta(seconds=1))


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


def test_an_expired_lease_queues_the_message_again_with_the_doubt_noted():
    store()
    OutboxMessage.objects.claim(1, holder="host 17 mail_0")
    assert OutboxMessage.objects.release_expired() == 0
    expire_leases()
    assert OutboxMessage.objects.release_expired() == 1
    message = OutboxMessage.objects.due().get()
    assert message.possible_duplicate
    attempt = message.attempts.get()
    assert (attempt.outcome, attempt.worker) == (Attempt.Outcome.UNKNOWN, "host 17 mail_0")
    assert "Nothing was heard of host 17 mail_0" in attempt.reply


def test_a_message_whose_holder_dies_again_and_again_is_held():
    store()
    for _ in range(LOST_CLAIMS_UNTIL_HELD):
        OutboxMessage.objects.claim(1)
        expire_leases()
        OutboxMessage.objects.release_expired()
    message = OutboxMessage.objects.get()
    assert (message.state, message.attempts.count()) == (State.HELD, LOST_CLAIMS_UNTIL_HELD)
    assert "held until a person decides" in message.last_reply


def test_only_deaths_in_a_row_count():
    store()
    for _ in range(LOST_CLAIMS_UNTIL_HELD):
        OutboxMessage.objects.claim(1)
        expire_leases()
        OutboxMessage.objects.release_expired()
        for claimed in OutboxMessage.objects.claim(1):
            claimed.retry_at(timezone.now(), "451 alive")
    assert OutboxMessage.objects.get().state == State.QUEUED


def test_a_lease_is_as_long_as_the_setting_says_by_the_databases_clock(settings):
    settings.MAIL_LEASE = 1000
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    left = (claimed.lease_expires_at - timezone.now()).total_seconds()
    assert 900 < left <= 1001


def test_a_renewed_lease_does_not_expire():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    expire_leases()
    assert OutboxMessage.objects.renew({claimed.claim_token}) == 1
    assert OutboxMessage.objects.release_expired() == 0


def test_a_rescuer_who_comes_after_the_renewal_changes_nothing():
    """It read the message as expired; the holder renewed in between."""
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    expire_leases()
    [read_as_expired] = OutboxMessage.objects.all()
    OutboxMessage.objects.renew({claimed.claim_token})
    assert not read_as_expired.give_up_on_holder()
    assert claimed.finish(State.SENT, "250 Ok")
    assert OutboxMessage.objects.get().attempts.count() == 0


def test_a_rescuer_who_comes_after_the_end_changes_nothing():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    expire_leases()
    [read_as_expired] = OutboxMessage.objects.all()
    assert claimed.finish(State.SENT, "250 Ok")
    assert not read_as_expired.give_up_on_holder()
    assert OutboxMessage.objects.get().state == State.SENT


def test_a_holder_whose_lease_was_taken_over_changes_nothing():
    store()
    [slow] = OutboxMessage.objects.claim(1)
    expire_leases()
    OutboxMessage.objects.release_expired()
    [rescuer] = OutboxMessage.objects.claim(1)
    assert not slow.finish(State.SENT, "250 too late")
    rescuer.refresh_from_db()
    assert rescuer.state == State.SENDING
    assert rescuer.finish(State.SENT, "250 Ok")


def fail(message):
    [claimed] = OutboxMessage.objects.claim(1)
    claimed.outcomes = {
        "b@example.com": {"accepted": False, "reply": "550 No"},
        "c@example.com": {"accepted": True, "reply": "250 Ok"},
    }
    claimed.finish(State.FAILED, "550 No")
    message.refresh_from_db()


def test_a_failed_message_can_be_queued_again_for_those_who_do_not_have_it():
    message = store()
    fail(message)
    assert OutboxMessage.objects.requeue() == 1
    again = OutboxMessage.objects.due().get()
    assert again.remaining_recipients == ["b@example.com"]
    assert (again.finished_at, again.queued_at > message.queued_at) == (None, True)


def test_what_was_sent_or_pruned_is_not_queued_again():
    message = store()
    fail(message)
    OutboxMessage.objects.update(content=b"")
    assert OutboxMessage.objects.requeue() == 0
    OutboxMessage.objects.update(content=b"x", state=State.SENT)
    assert OutboxMessage.objects.requeue() == 0


def test_two_who_queue_the_same_message_again_do_it_once():
    message = store()
    fail(message)
    [first], [second] = OutboxMessage.objects.all(), OutboxMessage.objects.all()
    assert (first.queue_again(), second.queue_again()) == (True, False)


def test_a_held_message_is_not_due_until_it_is_queued_again():
    store()
    assert OutboxMessage.objects.hold() == 1
    assert OutboxMessage.objects.claim(1) == []
    OutboxMessage.objects.requeue()
    assert len(OutboxMessage.objects.claim(1)) == 1


def test_a_cancelled_message_is_finished():
    store()
    assert OutboxMessage.objects.cancel() == 1
    assert OutboxMessage.objects.get().is_finished


def test_what_somebody_holds_can_be_neither_held_nor_cancelled():
    store()
    OutboxMessage.objects.claim(1)
    assert (OutboxMessage.objects.hold(), OutboxMessage.objects.cancel()) == (0, 0)


def test_overdue_is_what_was_due_for_longer_than_the_limit(settings):
    settings.MAIL_OVERDUE = 300
    late, _ = store(2)
    OutboxMessage.objects.filter(pk=late.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=301))
    assert list(OutboxMessage.objects.overdue()) == [late]


def test_relay_trouble_keeps_its_beginning_and_goes_with_its_end():
    first = timezone.now()
    RelayTrouble.objects.note("relay.test:25", "refused", first)
    since = RelayTrouble.objects.get().since
    RelayTrouble.objects.note("relay.test:25", "still refused", first + timedelta(seconds=2))
    trouble = RelayTrouble.objects.get()
    assert (trouble.since, trouble.reason) == (since, "still refused")
    assert "still refused" in str(trouble)
    RelayTrouble.objects.clear("relay.test:25")
    assert not RelayTrouble.objects.exists()


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
