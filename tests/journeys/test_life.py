"""A message's life as a state machine: whatever happens, in whatever order, nothing is lost or repeated in silence.

The machine does to real rows what people, workers, dying workers and the clock do to them. A model beside it knows what
the relay has accepted, which the rows may not know, and predicts the answer of every verb.
"""

from collections import Counter, deque
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flasky.mail.delivery import engine
from flasky.mail.models import (
    IN_TURN,
    LOST_CLAIMS_UNTIL_HELD,
    UNKNOWN_ENDS_UNTIL_HELD,
    Attempt,
    OutboxMessage,
    State,
)
from flasky.mail.transports import Server, TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict
from tests.clocks import somebody_was_there_for

PEOPLE = ["a@example.com", "b@example.com", "c@example.com"]
HOLDERS = ["host1 1 mail_0", "host1 1 mail_1", "host2 7 mail_0"]
MOST = 4  # messages: few, so that much happens to each
ENDS = (State.SENT, State.FAILED, State.HELD, State.CANCELLED)

# What becomes of a recipient: what the holder hears, and whether the relay took the mail, which is the truth.
REPLIES = {
    "accepted": (Verdict.ACCEPTED, True),
    "refused": (Verdict.REFUSED, False),
    "refused for now": (Verdict.POSTPONED, False),
    "taken, reply lost": (Verdict.UNKNOWN, True),
    "not taken, reply lost": (Verdict.UNKNOWN, False),
}
ANY_REPLIES = st.lists(st.sampled_from(["accepted", "accepted", *REPLIES]), min_size=len(PEOPLE), max_size=len(PEOPLE))


@dataclass
class Life:
    """What must be true of one message."""

    message_id: str
    state: str = State.QUEUED
    due: bool = True
    old: bool = False  # beyond MAIL_GIVE_UP_DAYS
    pruned: bool = False
    token: object = None
    turn: int = 0  # in its claim
    expired: bool = False
    lost_claims: int = 0
    unknown_ends: int = 0
    attempts: int = 0
    late: int = 0
    settled: dict = field(default_factory=dict)  # address → accepted or not, as recorded
    taken: Counter = field(default_factory=Counter)  # address → how often the relay accepted the mail for it
    doubt: bool = False


class Hand:
    """A claim in somebody's hands: `left` of it is what was not recorded, and only the first may be on the wire."""

    # The part of a transport that delivery sees.
    server = Server("relay.test:25")

    def __init__(self, claimed):
        self.token = claimed[0].claim_token
        self.left = deque(claimed)
        self.replies = {}  # to the first one, once it was handed to the relay
        self.has_begun = self.is_told_to_stop = False
        self.states = engine.deliver(claimed, self, lambda: self.is_told_to_stop)

    def deliver_each(self, messages):
        for _ in messages:
            if not self.replies:
                raise TransportUnavailable("421 not now")
            replies, self.replies = self.replies, {}
            yield replies

    def record(self):
        self.has_begun = True
        self.left.popleft()
        return next(self.states)

    def stop(self):
        """Give back what is left."""
        self.is_told_to_stop = True
        if self.has_begun:
            assert list(self.states) == []
        else:  # nobody begins a claim when it is told to stop
            OutboxMessage.objects.give_back(self.token)


def some(*states):
    """Let a rule run only while there is a message in one of these states."""
    return precondition(lambda machine: any(life.state in states for life in machine.lives.values()))


class MessageLives(RuleBasedStateMachine):
    """A holder whom no rule picks again has died; one who is picked late wakes up with a claim that may be gone."""

    claims = Bundle("claims")
    on_the_wire = Bundle("on_the_wire")  # the relay has answered, and the holder has not recorded it

    @initialize(count=st.integers(1, 3))
    def begin_with_few_messages(self, count):
        OutboxMessage.objects.all().delete()
        self.lives = {}
        self.hands = []  # also of those who died: a generator that nobody keeps gives its claim back
        for recipients in range(count):
            self.store(recipients + 1)

    # What the application does

    @precondition(lambda self: len(self.lives) < MOST)
    @rule(recipients=st.integers(1, len(PEOPLE)))
    def store(self, recipients):
        email = EmailMessage("Hi", "Hello", "ann@example.com", PEOPLE[:recipients])
        email.send()
        self.lives[email.outbox_message.pk] = Life(email.outbox_message.message_id)

    # What a holder does

    @some(State.QUEUED)
    @rule(target=claims, limit=st.integers(1, 3), holder=st.sampled_from(HOLDERS))
    def claim(self, limit, holder):
        return multiple(*self.take(limit, holder))

    def take(self, limit, holder):
        due = [pk for pk, life in self.lives.items() if life.state == State.QUEUED and life.due]
        in_turn = sorted(OutboxMessage.objects.filter(pk__in=due).values_list("next_attempt_at", "pk"))
        claimed = OutboxMessage.objects.claim(limit, holder)
        assert [message.pk for message in claimed] == [pk for _, pk in in_turn][:limit]
        if not claimed:
            return []
        hand = Hand(claimed)
        assert hand.token not in {other.token for other in self.hands}, "a token was used twice"
        self.hands.append(hand)
        for turn, message in enumerate(claimed):
            assert (message.claimed_by, message.claim_token) == (holder, hand.token)
            life = self.lives[message.pk]
            life.state, life.token, life.turn, life.expired = State.SENDING, hand.token, turn, False
        return [hand]

    @rule(hand=claims | on_the_wire)
    def renew(self, hand):
        ours = self.claimed_with(hand.token)
        assert OutboxMessage.objects.renew({hand.token}) == len(ours)
        for life in ours:
            life.expired = False

    def claimed_with(self, token):
        """Return what is left of the claim, in its order."""
        return sorted((life for life in self.lives.values() if life.token == token), key=lambda life: life.turn)

    @rule(target=on_the_wire, hand=consumes(claims), texts=ANY_REPLIES)
    def hand_over(self, hand, texts):
        """The relay hears of the first message, also from a holder whose claim is gone without its knowing."""
        message = hand.left[0]
        for address, text in zip(message.remaining_recipients, texts, strict=False):
            verdict, taken = REPLIES[text]
            hand.replies[address] = Reply(verdict, text)
            self.lives[message.pk].taken[address] += taken
        return hand

    @rule(target=claims, hand=consumes(on_the_wire))
    def record(self, hand):
        """The hand goes on with the next one, unless nothing is left or the claim is lost."""
        message, replies = hand.left[0], hand.replies
        life = self.lives[message.pk]
        ours = life.token == hand.token
        state = hand.record()
        if not ours:
            assert state == "lost"
            life.late += 1
            assert list(hand.states) == [], "the holder goes on with a claim that is lost"
            return multiple()
        for address, reply in replies.items():
            if reply.verdict in (Verdict.ACCEPTED, Verdict.REFUSED):
                life.settled[address] = reply.verdict == Verdict.ACCEPTED
        in_doubt = any(reply.verdict == Verdict.UNKNOWN for reply in replies.values())
        life.doubt |= in_doubt
        life.unknown_ends = life.unknown_ends + 1 if in_doubt else 0
        life.token, life.lost_claims, life.attempts = None, 0, life.attempts + 1
        if len(life.settled) == len(message.recipients) or life.old:
            life.state = State.SENT if any(life.settled.values()) else State.FAILED
        elif life.unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD:
            life.state = State.HELD
        else:
            life.state, life.due = State.QUEUED, False
            later = OutboxMessage.objects.filter(pk=message.pk, next_attempt_at__gt=timezone.now())
            assert later.update(next_attempt_at=timezone.now() + timedelta(days=1)) == 1  # however slow this machine is
        assert state == life.state
        if hand.left:
            return multiple(hand)
        assert list(hand.states) == []
        return multiple()

    @rule(target=claims, hand=consumes(claims), texts=ANY_REPLIES)
    def hand_over_and_record(self, hand, texts):
        self.hand_over(hand, texts)
        return self.record(hand)

    @rule(hand=consumes(claims))
    def stop(self, hand):
        hand.stop()
        self.give_back_what_is_left_of(hand)

    @rule(hand=consumes(claims))
    def find_the_relay_gone(self, hand):
        """The first one goes behind the others that are due, or ends if it is too old: it may upset the relay."""
        message = hand.left[0]
        first = self.lives[message.pk]
        ours, is_too_old = first.token == hand.token, message.queued_at <= timezone.now() - timedelta(days=5)
        with pytest.raises(TransportUnavailable):
            next(hand.states)
        self.give_back_what_is_left_of(hand)
        if is_too_old and not ours:
            first.late += 1
        elif is_too_old:
            first.state = State.SENT if any(first.settled.values()) else State.FAILED
            first.lost_claims, first.unknown_ends, first.attempts = 0, 0, first.attempts + 1
        elif ours:
            assert OutboxMessage.objects.due().latest(*IN_TURN).message_id == first.message_id

    def give_back_what_is_left_of(self, hand):
        for life in self.claimed_with(hand.token):
            life.state, life.token = State.QUEUED, None

    @precondition(lambda self: any(life.state == State.QUEUED and life.lost_claims for life in self.lives.values()))
    @rule(holder=st.sampled_from(HOLDERS))
    def claim_and_die_again(self, holder):
        for hand in self.take(1, holder):
            self.expire({hand.token})
            self.take_over_expired()

    # What the clock does, and what every sweep does then

    @some(State.SENDING)
    @rule(target=claims, data=st.data(), then=st.sampled_from(["nothing", "take over", "claim"]))
    def let_leases_expire(self, data, then):
        self._any(data, State.SENDING)
        self.expire({life.token for life in self._chosen})
        if then != "nothing":
            self.take_over_expired()
        return multiple(*(self.take(MOST, "a rescuer") if then == "claim" else ()))

    def expire(self, tokens):
        """All of a claim has one lease."""
        for token in tokens:
            ours = self.claimed_with(token)
            left = OutboxMessage.objects.filter(claim_token=token)
            assert left.update(lease_expires_at=Now() - timedelta(seconds=1)) == len(ours)
            for life in ours:
                life.expired = True

    @precondition(lambda self: any(life.expired and life.state == State.SENDING for life in self.lives.values()))
    @rule()
    def take_over_expired(self):
        """Only the first of what is left of a claim may have been handed over."""
        expired = [life for life in self.lives.values() if life.state == State.SENDING and life.expired]
        assert OutboxMessage.objects.take_over_expired() == len(expired)
        for token in {life.token for life in expired}:
            first, *others = self.claimed_with(token)
            first.lost_claims += 1
            first.unknown_ends += 1
            first.attempts += 1
            first.doubt = True
            is_held = first.lost_claims >= LOST_CLAIMS_UNTIL_HELD or first.unknown_ends >= UNKNOWN_ENDS_UNTIL_HELD
            first.state = State.HELD if is_held else State.QUEUED
            for life in others:
                life.state = State.QUEUED
            for life in (first, *others):
                life.token = None

    @precondition(lambda self: any(life.state == State.QUEUED and not life.due for life in self.lives.values()))
    @rule()
    def let_the_next_attempts_come(self):
        OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=timezone.now())
        for life in self.lives.values():
            life.due |= life.state == State.QUEUED

    # What people do

    @rule(data=st.data(), what=st.sampled_from(["hold", "cancel", "hold", "prune", "wait for days"]))
    def decide(self, data, what):
        chosen = self._any(data, *State)
        match what:
            case "hold":
                self._end(chosen.hold(), State.HELD, (State.QUEUED,))
            case "cancel":
                self._end(chosen.cancel(), State.CANCELLED, (State.QUEUED, State.HELD))
            case "prune":
                ended = [life for life in self._chosen if life.state in State.finished() and not life.pruned]
                assert chosen.prune_bodies() == len(ended)
                for life in ended:
                    life.pruned = True
            case "wait for days":
                waiting = [life for life in self._chosen if life.state == State.QUEUED]
                chosen.filter(state=State.QUEUED).update(queued_at=timezone.now() - timedelta(days=6))
                somebody_was_there_for(days=6)
                for life in waiting:
                    life.old = True

    @precondition(lambda self: any(life.state == State.QUEUED and life.settled for life in self.lives.values()))
    @rule(data=st.data())
    def hold_for_a_while(self, data):
        chosen = self._any(data, State.QUEUED)
        self._end(chosen.hold(), State.HELD, (State.QUEUED,))
        self._requeue(chosen)

    @some(*ENDS)
    @rule(data=st.data())
    def requeue(self, data):
        self._requeue(self._any(data, *ENDS))

    def _requeue(self, chosen):
        again = [life for life in self._chosen if not life.pruned]
        again = [life for life in again if life.state in (State.FAILED, State.HELD, State.CANCELLED)]
        assert chosen.order_by("pk").requeue() == len(again)  # in order: a rerun must find the same one oldest
        for life in again:
            life.state, life.due, life.old, life.lost_claims = State.QUEUED, True, False, 0
            life.unknown_ends = 0
            life.settled = {address: accepted for address, accepted in life.settled.items() if accepted}

    def _end(self, count, state, states):
        ended = [life for life in self._chosen if life.state in states]
        assert count == len(ended)
        for life in ended:
            life.state = state

    def _any(self, data, *states):
        """Return the rows of some messages in these states; `_chosen` are their lives."""
        fitting = [pk for pk, life in self.lives.items() if life.state in states]
        chosen = data.draw(st.lists(st.sampled_from(fitting), min_size=1, unique=True), "messages") if fitting else []
        self._chosen = [self.lives[pk] for pk in chosen]
        return OutboxMessage.objects.filter(pk__in=chosen)

    # What must be true between any two of these

    @invariant()
    def every_row_says_what_happened(self):
        messages = OutboxMessage.objects.prefetch_related("attempts")
        assert {message.pk for message in messages} == set(self.lives)
        for message in messages:
            life = self.lives[message.pk]
            assert message.state in State.values
            assert message.state == life.state
            assert message.message_id == life.message_id
            self.check_columns(message, life)
            self.check_history(message, life)
            self.check_promise(message, life)

    def check_columns(self, message, life):
        sending, finished = message.state == State.SENDING, message.state in State.finished()
        assert (message.claim_token is not None) == sending
        assert (message.lease_expires_at is not None) == sending
        assert (message.finished_at is not None) == finished
        assert message.claim_token == life.token
        assert message.lost_claims == life.lost_claims
        assert message.unknown_ends == life.unknown_ends
        assert message.unknown_ends < UNKNOWN_ENDS_UNTIL_HELD or message.state not in (State.QUEUED, State.SENDING)
        assert message.lost_claims < LOST_CLAIMS_UNTIL_HELD or message.state not in (State.QUEUED, State.SENDING)
        assert bool(message.content) != life.pruned
        assert not life.pruned or finished, "a message without a body waits to be sent"

    def check_history(self, message, life):
        outcomes = [attempt.outcome for attempt in message.attempts.all()]
        assert outcomes.count(Attempt.Outcome.LATE) == life.late
        assert len(outcomes) - life.late == message.attempt_count == life.attempts

    def check_promise(self, message, life):
        recorded = {address: outcome["accepted"] for address, outcome in message.outcomes.items()}
        assert recorded == life.settled
        assert message.possible_duplicate == life.doubt
        for address in message.recipients:
            taken = life.taken[address]
            assert taken or not recorded.get(address), "the row says accepted, the relay does not"
            assert taken <= 1 or message.possible_duplicate, "repeated in silence"
            # The doubt is noted before there can be a repeat, not afterwards.
            known = message.state == State.SENDING or recorded.get(address) or message.possible_duplicate
            assert not taken or known, "accepted, and the row knows nothing of it"
        if message.state == State.SENT:
            assert any(recorded.values())
        if message.state == State.FAILED:
            assert not any(recorded.values())

    # The end

    def teardown(self):
        """Everybody has died; now a worker that meets no outage runs until nothing waits any more."""
        self.expire({life.token for life in self.lives.values() if life.state == State.SENDING})
        self.take_over_expired()
        self.let_the_next_attempts_come()
        for hand in self.take(len(self.lives), "the last one"):
            while hand.left:
                self.hand_over(hand, ["accepted"] * len(PEOPLE))
                self.record(hand)
        self.every_row_says_what_happened()
        assert {life.state for life in self.lives.values()} <= set(ENDS), "neither sent, failed, held nor cancelled"
        for hand in self.hands:
            hand.states.close()
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_any_life_ends_well_and_no_repeat_is_silent(monkeypatch):
    monkeypatch.setattr(engine, "renewing", nullcontext)  # the clock is the machine's: leases run out when it says so
    run_state_machine_as_test(
        MessageLives,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would outlast the time of a test
        ),
    )
