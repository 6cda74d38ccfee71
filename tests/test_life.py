"""A message's life as a state machine: whatever happens, in whatever order, nothing is lost or repeated in silence.

The machine does to real rows what people, workers, dying workers and the clock do to them. A model beside it knows what
the relay has accepted, which the rows may not know, and predicts the answer of every verb.
"""

from collections import Counter
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

from flasky.mail import delivery
from flasky.mail.models import FINISHED, LOST_CLAIMS_UNTIL_HELD, Attempt, OutboxMessage, State
from flasky.mail.replies import Reply, Verdict
from flasky.mail.transports import Server, TransportUnavailable

PEOPLE = ["a@example.com", "b@example.com", "c@example.com"]
HOLDERS = ["host1 1 mail_0", "host1 1 mail_1", "host2 7 mail_0"]
MOST = 4  # messages: few, so that much happens to each
ENDS = (State.SENT, State.FAILED, State.HELD, State.CANCELLED)

# What becomes of a recipient: what the holder hears, and whether the relay took the mail, which is the truth.
FATES = {
    "accepted": (Verdict.ACCEPTED, True),
    "refused": (Verdict.REFUSED, False),
    "refused for now": (Verdict.POSTPONED, False),
    "taken, reply lost": (Verdict.UNKNOWN, True),
    "not taken, reply lost": (Verdict.UNKNOWN, False),
}
ANY_FATES = st.lists(st.sampled_from(["accepted", "accepted", *FATES]), min_size=len(PEOPLE), max_size=len(PEOPLE))


@dataclass
class Life:
    """What must be true of one message."""

    message_id: str
    state: str = State.QUEUED
    due: bool = True
    old: bool = False  # beyond MAIL_GIVE_UP_DAYS
    pruned: bool = False
    token: object = None
    expired: bool = False
    lost_claims: int = 0
    attempts: int = 0
    late: int = 0
    settled: dict = field(default_factory=dict)  # address → accepted or not, as recorded
    taken: Counter = field(default_factory=Counter)  # address → how often the relay accepted the mail for it
    doubt: bool = False


@dataclass(eq=False)
class Hand:
    """A claim in somebody's hands."""

    message: OutboxMessage
    token: object
    replies: dict = field(default_factory=dict)  # once the message was handed to the relay

    # The part of a transport that delivery sees.
    server = Server("relay.test:25")

    def deliver(self, message):
        if not self.replies:
            raise TransportUnavailable("421 not now")
        return self.replies

    def close(self):
        pass


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
        self.tokens = set()
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
        claimed = OutboxMessage.objects.claim(limit, holder)
        due = [pk for pk, life in self.lives.items() if life.state == State.QUEUED and life.due]
        assert {message.pk for message in claimed} <= set(due)
        assert len(claimed) == min(limit, len(due))
        tokens = {message.claim_token for message in claimed}
        assert len(tokens) == (1 if claimed else 0)
        assert not tokens & self.tokens, "a token was used twice"
        self.tokens |= tokens
        for message in claimed:
            assert message.claimed_by == holder
            life = self.lives[message.pk]
            life.state, life.token, life.expired = State.SENDING, message.claim_token, False
        return [Hand(message, message.claim_token) for message in sorted(claimed, key=lambda message: message.pk)]

    @rule(hand=claims)
    def renew(self, hand):
        """Renewals cover all claims with the token, as one claim may hold several messages."""
        ours = [life for life in self.lives.values() if life.token == hand.token]
        assert OutboxMessage.objects.renew({hand.token}) == len(ours)
        for life in ours:
            life.expired = False

    @rule(target=on_the_wire, hand=consumes(claims), fates=ANY_FATES)
    def hand_over(self, hand, fates):
        """The relay hears of the message, also from a holder whose claim is gone without its knowing."""
        for address, fate in zip(hand.message.remaining_recipients, fates, strict=False):
            verdict, taken = FATES[fate]
            hand.replies[address] = Reply(verdict, fate)
            self.lives[hand.message.pk].taken[address] += taken
        return hand

    @rule(hand=consumes(on_the_wire))
    def record(self, hand):
        life = self.lives[hand.message.pk]
        ours = life.token == hand.token
        state = delivery.deliver(hand.message, hand)
        if not ours:
            assert state == "lost"
            life.late += 1
            return
        for address, reply in hand.replies.items():
            if reply.verdict in (Verdict.ACCEPTED, Verdict.REFUSED):
                life.settled[address] = reply.verdict == Verdict.ACCEPTED
        life.doubt |= any(reply.verdict == Verdict.UNKNOWN for reply in hand.replies.values())
        life.token, life.lost_claims, life.attempts = None, 0, life.attempts + 1
        if len(life.settled) < len(hand.message.recipients) and not life.old:
            life.state, life.due = State.QUEUED, False
            later = OutboxMessage.objects.filter(pk=hand.message.pk, next_attempt_at__gt=timezone.now())
            assert later.update(next_attempt_at=timezone.now() + timedelta(days=1)) == 1  # however slow this machine is
        else:
            life.state = State.SENT if any(life.settled.values()) else State.FAILED
        assert state == life.state

    @rule(hand=consumes(claims), fates=ANY_FATES)
    def hand_over_and_record(self, hand, fates):
        self.hand_over(hand, fates)
        self.record(hand)

    @rule(hand=consumes(claims), relay_is_gone=st.booleans())
    def give_back(self, hand, relay_is_gone):
        """Nothing was handed over: the relay takes no mail, or the process was told to stop."""
        life = self.lives[hand.message.pk]
        if relay_is_gone:
            with pytest.raises(TransportUnavailable):
                delivery.deliver(hand.message, hand)
        else:
            assert hand.message.release() == (life.token == hand.token)
        if life.token == hand.token:
            life.state, life.token = State.QUEUED, None

    @precondition(lambda self: any(life.state == State.QUEUED and life.lost_claims for life in self.lives.values()))
    @rule(holder=st.sampled_from(HOLDERS))
    def claim_and_die_again(self, holder):
        for hand in self.take(1, holder):
            self.expire([hand.message.pk])
            self.release_expired()

    # What the clock does, and what every sweep does then

    @some(State.SENDING)
    @rule(target=claims, data=st.data(), then=st.sampled_from(["nothing", "release", "claim"]))
    def let_leases_expire(self, data, then):
        self.expire(self._any(data, State.SENDING).values_list("pk", flat=True))
        if then != "nothing":
            self.release_expired()
        return multiple(*(self.take(MOST, "a rescuer") if then == "claim" else ()))

    def expire(self, pks):
        for pk in list(pks):
            sending = OutboxMessage.objects.filter(pk=pk, state=State.SENDING)
            assert sending.update(lease_expires_at=Now() - timedelta(seconds=1)) == 1
            self.lives[pk].expired = True

    @precondition(lambda self: any(life.expired and life.state == State.SENDING for life in self.lives.values()))
    @rule()
    def release_expired(self):
        expired = [life for life in self.lives.values() if life.state == State.SENDING and life.expired]
        assert OutboxMessage.objects.release_expired() == len(expired)
        for life in expired:
            life.lost_claims += 1
            life.attempts += 1
            life.token, life.doubt = None, True
            life.state = State.HELD if life.lost_claims >= LOST_CLAIMS_UNTIL_HELD else State.QUEUED

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
                ended = [life for life in self._chosen if life.state in FINISHED and not life.pruned]
                assert chosen.prune_bodies() == len(ended)
                for life in ended:
                    life.pruned = True
            case "wait for days":
                waiting = [life for life in self._chosen if life.state == State.QUEUED]
                chosen.filter(state=State.QUEUED).update(queued_at=timezone.now() - timedelta(days=6))
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
        sending, finished = message.state == State.SENDING, message.state in FINISHED
        assert (message.claim_token is not None) == sending
        assert (message.lease_expires_at is not None) == sending
        assert (message.finished_at is not None) == finished
        assert message.claim_token == life.token
        assert message.lost_claims == life.lost_claims
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
        """Everybody has died; now a worker that meets no trouble runs until nothing waits any more."""
        for _ in range(LOST_CLAIMS_UNTIL_HELD):
            self.expire(pk for pk, life in self.lives.items() if life.state == State.SENDING)
            self.release_expired()
            self.let_the_next_attempts_come()
            for hand in self.take(len(self.lives), "the last one"):
                self.hand_over(hand, ["accepted"] * len(PEOPLE))
                self.record(hand)
        self.every_row_says_what_happened()
        assert {life.state for life in self.lives.values()} <= set(ENDS), "neither sent, failed, held nor cancelled"
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_any_life_ends_well_and_no_repeat_is_silent():
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
