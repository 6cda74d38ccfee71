"""flasky.mail.models: states and claims."""

import threading
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flasky.mail.models import (
    CLAIM_SIZE,
    LOST_CLAIMS_UNTIL_HELD,
    MAX_ACTOR,
    Action,
    Attempt,
    OutboxMessage,
    Priority,
    RelayOutage,
    State,
)
from tests.actors import ACCEPTED, POSTPONED, REFUSED, end


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


def test_a_claim_is_in_the_order_in_which_its_messages_became_due():
    first, second, third = store(3)
    OutboxMessage.objects.filter(pk=first.pk).update(next_attempt_at=third.next_attempt_at)
    OutboxMessage.objects.filter(pk=third.pk).update(next_attempt_at=second.next_attempt_at - timedelta(minutes=1))
    assert OutboxMessage.objects.claim(2) == [third, second]
    assert OutboxMessage.objects.claim(1) == [first]


def test_a_claim_takes_the_most_urgent_and_nothing_else():
    bulk, normal, urgent = store(3)
    for message, priority in ((bulk, "bulk"), (urgent, "urgent")):
        OutboxMessage.objects.filter(pk=message.pk).update(priority=priority)
    assert [OutboxMessage.objects.claim(3) for _ in range(4)] == [[urgent], [normal], [bulk], []]


def test_a_claim_can_be_of_some_priorities_only():
    store(2)
    assert OutboxMessage.objects.claim(2, among=[Priority.URGENT, Priority.BULK]) == []


def test_what_is_urgent_but_not_due_yet_keeps_nobody_waiting():
    later, due = store(2)
    OutboxMessage.objects.filter(pk=later.pk).update(
        priority="urgent", next_attempt_at=timezone.now() + timedelta(hours=1)
    )
    assert OutboxMessage.objects.claim(2) == [due]


@pytest.mark.parametrize("priority", list(Priority))
def test_a_claim_is_answered_by_the_index_in_its_own_order(priority):
    if connection.vendor != "sqlite":
        pytest.skip("with few rows the others read the table")
    with CaptureQueriesContext(connection) as queries:
        OutboxMessage.objects.claim(50, among=[priority])
    [look] = [query["sql"] for query in queries if "LENGTH" in query["sql"]]
    with connection.cursor() as cursor:
        plan = str(cursor.execute(f"EXPLAIN QUERY PLAN {look}").fetchall())
    assert "USING INDEX flasky_mail_turn (state=? AND priority=? AND next_attempt_at<?)" in plan
    assert "TEMP B-TREE" not in plan


def test_all_of_a_claim_has_one_token_one_holder_and_one_lease():
    store(3)
    claim = OutboxMessage.objects.claim(3, "host 17 mail_0")
    assert len({(message.claim_token, message.claimed_by, message.lease_expires_at) for message in claim}) == 1


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([CLAIM_SIZE // 2, CLAIM_SIZE - CLAIM_SIZE // 2, 1], 2),
        ([CLAIM_SIZE // 2, CLAIM_SIZE, 1], 1),
        ([CLAIM_SIZE + 1, 1, 1], 1),
    ],
    ids=["as much as allowed", "the next is too large", "the first is too large"],
)
def test_large_messages_make_a_claim_smaller_but_never_empty(sizes, count):
    messages = store(3)
    for message, size in zip(messages, sizes, strict=True):
        OutboxMessage.objects.filter(pk=message.pk).update(content=b"x" * size)
    claim = OutboxMessage.objects.claim(3)
    assert claim == messages[:count]
    assert OutboxMessage.objects.due().count() == 3 - count


def test_a_claimed_message_is_nobody_elses():
    store()
    [claimed] = OutboxMessage.objects.claim(10)
    assert claimed.state == State.SENDING
    assert claimed.lease_expires_at > timezone.now()
    assert OutboxMessage.objects.claim(10) == []


def test_each_claim_has_a_fresh_token():
    store()
    [first] = OutboxMessage.objects.claim(1)
    first.give_back()
    [second] = OutboxMessage.objects.claim(1)
    assert first.claim_token != second.claim_token


def test_a_message_for_later_is_not_due():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    assert end(claimed, POSTPONED) == State.QUEUED
    assert not OutboxMessage.objects.due().exists()
    claimed.refresh_from_db()
    assert (claimed.state, claimed.attempt_count, claimed.last_reply) == (State.QUEUED, 1, POSTPONED.text)


def test_the_next_attempt_is_the_earliest_that_is_not_due_yet():
    now = timezone.now()
    for message, minutes in zip(store(3), (-1, 7, 3), strict=True):
        OutboxMessage.objects.filter(pk=message.pk).update(next_attempt_at=now + timedelta(minutes=minutes))
    assert OutboxMessage.objects.next_attempt_after(now) == now + timedelta(minutes=3)
    assert OutboxMessage.objects.next_attempt_after(now + timedelta(hours=1)) is None


def test_giving_back_costs_no_attempt():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    assert claimed.give_back()
    given_back = OutboxMessage.objects.due().get()
    assert (given_back.attempt_count, given_back.claim_token) == (0, None)


def test_what_is_left_of_a_claim_is_given_back_together():
    done, *left = store(3)
    token = OutboxMessage.objects.claim(1)[0].claim_token
    claim = OutboxMessage.objects.claim(2)
    assert OutboxMessage.objects.give_back(claim[0].claim_token) == 2
    assert list(OutboxMessage.objects.due()) == left
    assert not OutboxMessage.objects.due().exclude(claim_token=None, lease_expires_at=None).exists()
    done.refresh_from_db()
    assert (done.state, done.claim_token) == (State.SENDING, token)


def test_what_was_recorded_is_not_given_back_with_the_rest():
    done, left = store(2)
    first, _ = OutboxMessage.objects.claim(2)
    end(first)
    assert OutboxMessage.objects.give_back(first.claim_token) == 1
    assert OutboxMessage.objects.due().get() == left
    done.refresh_from_db()
    assert done.state == State.SENT


def test_an_expired_lease_queues_the_message_again_with_the_doubt_noted():
    store()
    OutboxMessage.objects.claim(1, holder="host 17 mail_0")
    assert OutboxMessage.objects.take_over_expired() == 0
    expire_leases()
    assert OutboxMessage.objects.take_over_expired() == 1
    message = OutboxMessage.objects.due().get()
    assert message.possible_duplicate
    attempt = message.attempts.get()
    assert (attempt.outcome, attempt.worker) == (Attempt.Outcome.UNKNOWN, "host 17 mail_0")
    assert "Nothing was heard of host 17 mail_0" in attempt.reply


def test_of_an_expired_claim_only_the_first_that_is_left_may_have_been_handed_over():
    done, first, *others = store(4)
    claim = OutboxMessage.objects.claim(4)
    end(claim[0])
    expire_leases()
    assert OutboxMessage.objects.take_over_expired() == 3
    assert OutboxMessage.objects.get(possible_duplicate=True) == first
    assert Attempt.objects.get(outcome=Attempt.Outcome.UNKNOWN).message == first
    for message in others:
        message.refresh_from_db()
        assert (message.state, message.attempt_count, message.lost_claims) == (State.QUEUED, 0, 0)
        assert (message.claim_token, message.lease_expires_at) == (None, None)
    done.refresh_from_db()
    assert (done.state, done.attempt_count) == (State.SENT, 1)


def test_each_expired_claim_has_a_first_message_and_no_other_is_taken_over():
    messages = store(4)
    OutboxMessage.objects.claim(2)
    OutboxMessage.objects.claim(1)
    expire_leases()
    alive = OutboxMessage.objects.claim(1)
    assert OutboxMessage.objects.take_over_expired() == 3
    assert list(OutboxMessage.objects.filter(possible_duplicate=True).order_by("pk")) == [messages[0], messages[2]]
    assert OutboxMessage.objects.get(state=State.SENDING) == alive[0]


def test_the_others_of_a_claim_are_tried_again_when_the_first_is_held():
    first, other = store(2)
    OutboxMessage.objects.filter(pk=first.pk).update(lost_claims=LOST_CLAIMS_UNTIL_HELD - 1)
    OutboxMessage.objects.claim(2)
    expire_leases()
    assert OutboxMessage.objects.take_over_expired() == 2
    assert OutboxMessage.objects.get(state=State.HELD) == first
    assert OutboxMessage.objects.due().get() == other


def test_a_message_whose_holder_dies_again_and_again_is_held():
    store()
    for _ in range(LOST_CLAIMS_UNTIL_HELD):
        OutboxMessage.objects.claim(1)
        expire_leases()
        OutboxMessage.objects.take_over_expired()
    message = OutboxMessage.objects.get()
    assert (message.state, message.attempts.count()) == (State.HELD, LOST_CLAIMS_UNTIL_HELD)
    assert "held until a person decides" in message.last_reply


def test_only_deaths_in_a_row_count():
    store()
    for _ in range(LOST_CLAIMS_UNTIL_HELD):
        OutboxMessage.objects.claim(1)
        expire_leases()
        OutboxMessage.objects.take_over_expired()
        for claimed in OutboxMessage.objects.claim(1):
            end(claimed, POSTPONED)
        OutboxMessage.objects.update(next_attempt_at=timezone.now())
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
    assert OutboxMessage.objects.take_over_expired() == 0


def test_a_rescuer_who_comes_after_the_renewal_changes_nothing():
    """It read the message as expired; the holder renewed in between."""
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    expire_leases()
    [read_as_expired] = OutboxMessage.objects.all()
    OutboxMessage.objects.renew({claimed.claim_token})
    assert not read_as_expired.give_up_on_holder()
    assert end(claimed) == State.SENT
    assert OutboxMessage.objects.get().attempts.get().outcome == Attempt.Outcome.ACCEPTED


def test_a_rescuer_who_comes_after_the_end_changes_nothing():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    expire_leases()
    [read_as_expired] = OutboxMessage.objects.all()
    assert end(claimed) == State.SENT
    assert not read_as_expired.give_up_on_holder()
    assert OutboxMessage.objects.get().state == State.SENT


def test_a_holder_whose_lease_was_taken_over_changes_nothing():
    store()
    [slow] = OutboxMessage.objects.claim(1)
    expire_leases()
    OutboxMessage.objects.take_over_expired()
    [rescuer] = OutboxMessage.objects.claim(1)
    assert end(slow) == "lost"
    rescuer.refresh_from_db()
    assert rescuer.state == State.SENDING
    assert end(rescuer) == State.SENT


def fail():
    """Store a message that c has got, and b has not."""
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    end(claimed, {"b@example.com": REFUSED, "c@example.com": ACCEPTED})
    OutboxMessage.objects.update(state=State.FAILED)
    return OutboxMessage.objects.get()


def test_a_failed_message_can_be_queued_again_for_those_who_do_not_have_it():
    message = fail()
    assert OutboxMessage.objects.requeue() == 1
    again = OutboxMessage.objects.due().get()
    assert again.remaining_recipients == ["b@example.com"]
    assert (again.finished_at, again.queued_at > message.queued_at) == (None, True)


def test_what_was_sent_or_pruned_is_not_queued_again():
    fail()
    OutboxMessage.objects.update(content=b"")
    assert OutboxMessage.objects.requeue() == 0
    OutboxMessage.objects.update(content=b"x", state=State.SENT)
    assert OutboxMessage.objects.requeue() == 0


def test_two_who_queue_the_same_message_again_do_it_once():
    message = fail()
    assert (OutboxMessage.objects.requeue("Ann"), OutboxMessage.objects.requeue("Bob")) == (1, 0)
    assert [action.actor for action in message.actions.all()] == ["Ann"]


def test_a_held_message_is_not_due_until_it_is_queued_again():
    store()
    assert OutboxMessage.objects.hold() == 1
    assert OutboxMessage.objects.claim(1) == []
    OutboxMessage.objects.requeue()
    assert len(OutboxMessage.objects.claim(1)) == 1


def test_a_released_message_goes_on_where_it_was_held():
    store()
    [claimed] = OutboxMessage.objects.claim(1)
    end(claimed, {"b@example.com": REFUSED, "c@example.com": POSTPONED})
    OutboxMessage.objects.hold()
    assert OutboxMessage.objects.release() == 1
    released = OutboxMessage.objects.due().get()
    assert released.remaining_recipients == ["c@example.com"], "b has refused it for good"
    assert released.queued_at > claimed.queued_at


def test_only_what_is_held_is_released():
    messages = store(len(State) - 1)
    for message, state in zip(messages, set(State) - {State.HELD}, strict=True):
        OutboxMessage.objects.filter(pk=message.pk).update(state=state)
    assert OutboxMessage.objects.release() == 0
    OutboxMessage.objects.update(state=State.HELD, content=b"")
    assert OutboxMessage.objects.release() == 0, "what was pruned cannot be sent any more"


def test_a_verb_takes_many_in_short_transactions(monkeypatch):
    monkeypatch.setattr("flasky.mail.models.batches.BATCH", 2)
    messages = store(5)
    with CaptureQueriesContext(connection) as captured:
        assert OutboxMessage.objects.cancel("Ann") == 5
    updates = [query for query in captured if 'SET "state"' in query["sql"].replace("`", '"')]
    assert len(updates) == 3
    assert set(Action.objects.values_list("message", flat=True)) == {message.pk for message in messages}


@pytest.mark.parametrize(
    ("verb", "state"), [("requeue", "failed"), ("release", "held"), ("hold", "queued"), ("cancel", "queued")]
)
def test_the_history_says_what_was_done_and_by_whom(verb, state):
    message = store()
    OutboxMessage.objects.update(state=state)
    getattr(OutboxMessage.objects, verb)("A" * 200)
    names = {"requeue": "requeued", "release": "released", "hold": "held", "cancel": "cancelled"}
    assert str(message.actions.get()) == f"{names[verb]} by {'A' * MAX_ACTOR}"


def test_an_action_of_nobody_known_says_so():
    assert str(Action(verb=Action.Verb.SENT_AGAIN)) == "sent again as a new message by somebody"


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


def test_an_outage_keeps_its_beginning_and_goes_with_its_end():
    first = timezone.now()
    RelayOutage.objects.note("relay.test:25", "refused", first)
    since = RelayOutage.objects.get().since
    RelayOutage.objects.note("relay.test:25", "still refused", first + timedelta(seconds=2))
    outage = RelayOutage.objects.get()
    assert (outage.since, outage.reason) == (since, "still refused")
    assert "still refused" in str(outage)
    RelayOutage.objects.clear("relay.test:25")
    assert not RelayOutage.objects.exists()


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
        end(OutboxMessage.objects.claim(1)[0])
        connection.close()

    holder = threading.Thread(target=finish)
    holder.start()
    assert message.wait(timeout=60) == State.SENT
    assert message.last_reply == "250 Ok"
    holder.join()


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
