"""A holder and a rescuer, stopped at the moment that matters: both orders of each race."""

import threading
from collections import Counter

import pytest
from django.db import connection

from flasky.mail import transports
from flasky.mail.delivery import deliver_due
from flasky.mail.delivery.engine import deliver
from flasky.mail.models import Attempt, OutboxMessage, State
from tests.actors import (
    ACCEPTED,
    CHANGING,
    LOCKING,
    NOTING,
    POSTPONED,
    REFUSED,
    UNCOMMITTED,
    WRITING,
    Actor,
    Stop,
    check_the_rescuers_end,
    claim,
    end,
    expire,
    outcomes,
    store,
    wait_until_locked,
)
from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stopped_after_the_reply(monkeypatch):
    """Stop the actor when the relay has answered and nothing is recorded yet; others pass."""
    original, stop = transports.SmtpTransport.deliver, Stop()

    def deliver(transport, message, following=None):
        replies = original(transport, message, following)
        if threading.current_thread().name == "actor":
            stop()
        return replies

    monkeypatch.setattr(transports.SmtpTransport, "deliver", deliver)
    yield stop
    stop.go_on()


@pytest.fixture
def stopped_before(monkeypatch):
    """Stop the actor when it comes to the message with this number and has said nothing of it yet; others pass."""
    original, stops = transports.SmtpTransport.deliver, {}

    def deliver(transport, message, following=None):
        if threading.current_thread().name == "actor" and message.pk in stops:
            stops[message.pk]()
        return original(transport, message, following)

    monkeypatch.setattr(transports.SmtpTransport, "deliver", deliver)
    yield lambda message: stops.setdefault(message.pk, Stop())
    for stop in stops.values():
        stop.go_on()


def deliver_one_claim():
    """Deliver as a holder whose relay is quick: all that is due, claimed at once."""
    with transports.borrow() as transport:
        return list(deliver(OutboxMessage.objects.claim(50, "holder"), transport))


def renew(held):
    return OutboxMessage.objects.renew({held.claim_token})


# A holder who is paused


def test_a_holder_who_pauses_after_the_250_finds_its_message_delivered_by_another(relay, stopped_after_the_reply):
    message = store()
    holder = Actor(deliver_due)
    stopped_after_the_reply.wait()
    expire()
    assert OutboxMessage.objects.take_over_expired() == 1
    assert deliver_due() == {State.SENT: 1}
    stopped_after_the_reply.go_on()
    assert holder.result() == {"lost": 1}
    check_the_rescuers_end(message, relay)


def test_a_holder_who_goes_on_while_the_rescuer_delivers_changes_nothing_either(relay, stopped_after_the_reply):
    message = store()
    holder = Actor(deliver_due)
    stopped_after_the_reply.wait()
    expire()
    OutboxMessage.objects.take_over_expired()
    rescuer = claim("rescuer")
    stopped_after_the_reply.go_on()
    assert holder.result() == {"lost": 1}
    message.refresh_from_db()
    assert (message.state, message.claimed_by, message.claim_token) == (State.SENDING, "rescuer", rescuer.claim_token)
    assert message.lease_expires_at == rescuer.lease_expires_at
    assert message.possible_duplicate
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.LATE]
    assert end(rescuer) == State.SENT


def test_a_holder_who_pauses_before_the_relay_repeats_the_message_but_not_in_silence(relay, stopped_before):
    """Nobody can call it back; the doubt was noted when its lease was taken."""
    message = store()
    stop = stopped_before(message)
    holder = Actor(deliver_due)
    stop.wait()
    expire()
    OutboxMessage.objects.take_over_expired()
    assert deliver_due() == {State.SENT: 1}
    stop.go_on()
    assert holder.result() == {"lost": 1}
    check_the_rescuers_end(message, relay)


# A holder of several messages, between one and the next


def test_a_holder_who_finds_its_claim_lost_sends_nothing_more(relay, stopped_after_the_reply):
    first, second = store(), store()
    holder = Actor(deliver_one_claim)
    stopped_after_the_reply.wait()
    expire()
    assert OutboxMessage.objects.take_over_expired() == 2
    stopped_after_the_reply.go_on()
    assert holder.result() == ["lost"]
    assert sent(relay) == {first.message_id: 1}
    assert deliver_due() == {State.SENT: 2}
    check_repeats(relay, {first: 2, second: 1})


def test_an_envelope_that_was_ahead_of_its_turn_is_withdrawn_when_the_claim_is_lost(settings, stopped_after_the_reply):
    with ScriptedRelay(pipelining=True) as relay:
        use_relay(settings, relay)
        first, second = store(), store()
        holder = Actor(deliver_one_claim)
        stopped_after_the_reply.wait()
        expire()
        OutboxMessage.objects.take_over_expired()
        stopped_after_the_reply.go_on()
        assert holder.result() == ["lost"]
        assert deliver_due() == {State.SENT: 2}
        assert sorted(relay.accepted) == sorted([first.message_id] * 2 + [second.message_id])


def test_a_holder_whose_claim_is_lost_before_the_next_repeats_only_that_and_not_in_silence(relay, stopped_before):
    first, second, third = store(), store(), store()
    stop = stopped_before(second)
    holder = Actor(deliver_one_claim)
    stop.wait()
    expire()
    assert OutboxMessage.objects.take_over_expired() == 2
    assert deliver_due() == {State.SENT: 2}
    stop.go_on()
    assert holder.result() == [State.SENT, "lost"]
    check_repeats(relay, {first: 1, second: 2, third: 1})


def test_a_rescuer_who_comes_while_the_holder_is_recording_marks_the_next_when_it_looks_again(
    relay, stopped_after_the_reply, stopped_before
):
    first, second, third = store(), store(), store()
    stop = stopped_before(second)
    holder = Actor(deliver_one_claim, before=UNCOMMITTED, wait=False)
    stopped_after_the_reply.wait()
    expire()
    rescuer = Actor(OutboxMessage.objects.take_over_expired, before=LOCKING)  # it has seen that the lease has expired
    stopped_after_the_reply.go_on()
    holder.stop.wait()  # the first row is changed, not committed
    wait_until_locked(first)
    rescuer.stop.go_on()
    holder.stop.go_on()
    stop.wait()
    assert rescuer.result() == 0
    assert OutboxMessage.objects.take_over_expired() == 2
    assert deliver_due() == {State.SENT: 2}
    stop.go_on()
    assert holder.result() == [State.SENT, "lost"]
    check_repeats(relay, {first: 1, second: 2, third: 1})


@pytest.mark.parametrize("before", [CHANGING, NOTING], ids=["locked", "changed"])
def test_a_holder_who_records_while_the_rescuer_takes_over_waits_and_sends_nothing_more(
    before, relay, stopped_after_the_reply
):
    first, second = store(), store()
    holder = Actor(deliver_one_claim)
    stopped_after_the_reply.wait()
    expire()
    rescuer = Actor(OutboxMessage.objects.take_over_expired, before=before)
    stopped_after_the_reply.go_on()
    assert rescuer.result() == 2
    assert holder.result() == ["lost"]
    assert deliver_due() == {State.SENT: 2}
    check_repeats(relay, {first: 2, second: 1})


def sent(relay):
    return Counter(mail.message["Message-ID"] for mail in relay.mails)


def check_repeats(relay, expected):
    """The relay has each message so often, and exactly those are in doubt that it has more than once."""
    assert sent(relay) == {message.message_id: count for message, count in expected.items()}
    doubtful = OutboxMessage.objects.filter(possible_duplicate=True)
    assert set(doubtful) == {message for message, count in expected.items() if count > 1}


# A rescuer who has read the expired row, and a holder who is alive


def test_a_rescuer_who_is_slower_than_the_renewal_changes_nothing():
    store(), store()
    held, other = OutboxMessage.objects.claim(2)
    expire()
    rescuer = Actor(OutboxMessage.objects.take_over_expired, before=LOCKING)
    assert renew(held) == 2
    before = list(OutboxMessage.objects.order_by("pk").values())
    assert rescuer.result() == 0
    assert list(OutboxMessage.objects.order_by("pk").values()) == before
    assert end(held) == end(other) == State.SENT


def test_a_rescuer_who_is_slower_than_the_end_changes_nothing():
    message = store()
    held = claim()
    expire()
    rescuer = Actor(OutboxMessage.objects.take_over_expired, before=LOCKING)
    assert end(held) == State.SENT
    assert rescuer.result() == 0
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.possible_duplicate) == (State.SENT, 1, False)
    assert outcomes(message) == [Attempt.Outcome.ACCEPTED]


def test_a_rescuer_who_is_slower_than_the_next_claim_leaves_that_alone():
    """The holder has given the message back, and somebody else has claimed it since."""
    message = store()
    held = claim()
    expire()
    rescuer = Actor(OutboxMessage.objects.take_over_expired, before=LOCKING)
    held.give_back()
    other = claim("other")
    expire()
    assert rescuer.result() == 0
    message.refresh_from_db()
    assert (message.claim_token, message.possible_duplicate) == (other.claim_token, False)


@pytest.mark.parametrize("claimed_again", [True, False], ids=["claimed again", "queued"])
@pytest.mark.parametrize("replies", [ACCEPTED, REFUSED, POSTPONED], ids=["sent", "failed", "retry"])
def test_a_holder_who_records_later_than_the_rescuer_leaves_only_a_line_in_the_history(replies, claimed_again):
    message = store()
    held = claim()
    holder = Actor(lambda: end(held, replies), before=WRITING)
    before = taken_by_a_rescuer(claimed_again)
    assert holder.result() == "lost"
    assert OutboxMessage.objects.values().get() == before
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.LATE]


@pytest.mark.parametrize("claimed_again", [True, False], ids=["claimed again", "queued"])
@pytest.mark.parametrize(
    "late",
    [OutboxMessage.give_back, lambda held: OutboxMessage.objects.give_back(held.claim_token), renew],
    ids=["give back", "give back all", "renew"],
)
def test_a_holder_who_is_slower_than_the_rescuer_changes_nothing(late, claimed_again):
    message = store()
    held = claim()
    holder = Actor(lambda: late(held), before=WRITING)
    before = taken_by_a_rescuer(claimed_again)
    assert not holder.result()
    assert OutboxMessage.objects.values().get() == before
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN]


def taken_by_a_rescuer(claimed_again):
    expire()
    assert OutboxMessage.objects.take_over_expired() == 1
    if claimed_again:
        claim("rescuer")
    return OutboxMessage.objects.values().get()


def test_a_holder_who_comes_while_the_rescuer_is_writing_waits_and_changes_nothing():
    message = store()
    held = claim()
    expire()
    rescuer = Actor(OutboxMessage.objects.take_over_expired, before=NOTING)  # the row is changed, not committed
    holder = Actor(lambda: end(held))
    assert rescuer.result() == 1
    assert holder.result() == "lost"
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.possible_duplicate) == (State.QUEUED, 1, True)


def test_a_rescuer_who_comes_while_the_holder_is_writing_changes_nothing(stopped_after_the_reply, relay):
    message = store()
    holder = Actor(deliver_due, before=UNCOMMITTED, wait=False)
    stopped_after_the_reply.wait()
    expire()
    rescuer = Actor(OutboxMessage.objects.take_over_expired, before=LOCKING)  # it has seen that the lease has expired
    stopped_after_the_reply.go_on()
    holder.stop.wait()  # the row is changed, not committed
    wait_until_locked(message)
    rescuer.stop.go_on()
    assert holder.result() == {State.SENT: 1}
    assert rescuer.result() == 0
    message.refresh_from_db()
    assert (message.state, message.possible_duplicate) == (State.SENT, False)
    assert outcomes(message) == [Attempt.Outcome.ACCEPTED]


def test_a_rescuer_waits_for_no_holder_whose_transaction_stays_open():
    """He may be cut off from the database, which does not notice for long: the others' mail does not wait for that."""
    if not connection.features.has_select_for_update_skip_locked:
        pytest.skip("rows cannot be locked here")
    store(), store()
    held, other = claim(), claim("other")
    expire()
    holder = Actor(lambda: end(held), before=UNCOMMITTED)  # the row is changed, not committed
    wait_until_locked(held)
    assert OutboxMessage.objects.take_over_expired() == 1
    assert holder.result() == State.SENT
    other.refresh_from_db()
    assert (other.state, other.possible_duplicate) == (State.QUEUED, True)


@pytest.mark.parametrize("before", [LOCKING, CHANGING], ids=["both have looked", "one has locked"])
def test_two_rescuers_at_once_leave_one_line_in_the_history(before):
    message, untouched = store(), store()
    OutboxMessage.objects.claim(2)
    expire()
    first = Actor(OutboxMessage.objects.take_over_expired, before=LOCKING)
    second = Actor(OutboxMessage.objects.take_over_expired, before=before)
    first.stop.go_on()
    assert sorted(rescuer.result() for rescuer in (second, first)) == [0, 2]
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.lost_claims) == (State.QUEUED, 1, 1)
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN]
    assert outcomes(untouched) == []
