"""What people may do to messages, to one or to many, and who did it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connections, models, router, transaction

from flasky.mail import dispatchers
from flasky.mail.models import MAX_PERSON, Action, OutboxMessage, OutboxMessageQuerySet, State
from flasky.mail.storing.copies import forwarding, new_message_from
from flasky.mail.storing.insert import insert_message

MOST_AT_ONCE = 10_000  # messages
MOST_FORWARDED = 20
PATIENCE = 4  # s, after which the person is answered and may go on with the rest
CHUNK = 100  # messages between two looks at the clock


class Decision(NamedTuple):
    """Who decided something, and since when: what was done after the question was put is not done once more."""

    person: str
    address: str  # where forwarded mail goes
    last_action: int  # of anybody, when the question was put; no clock, for the hosts' clocks may differ


@dataclass(frozen=True)
class Offer:
    """One of the things that people may do to messages."""

    name: str
    label: str
    question: str  # with the messages in place of {}
    done: str
    effect: str
    verb: Action.Verb
    act: Callable[[OutboxMessageQuerySet, Decision], int]
    states: tuple[State, ...] = tuple(State)
    needs_body: bool = False
    wakes: bool = False
    limit: int = MOST_AT_ONCE
    chunk: int = CHUNK

    @property
    def condition(self) -> str:
        """What a message must be."""
        if self.states == tuple(State):
            return "not pruned"
        return f"{_either(list(self.states))}{' (and not pruned)' if self.needs_body else ''}"

    def applies_to(self, message: OutboxMessage) -> bool:
        return message.state in self.states and not (self.needs_body and message.is_pruned)


def _either(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


class Outcome(NamedTuple):
    done: int
    already: int  # done by somebody else, or by a first click, after the question was put
    missed: int  # changed or removed meanwhile
    refused: int
    trouble: str  # why the last of them was refused
    left: list[int]  # keys of what is to be done in another go


def perform(offer: Offer, keys: list[int], decision: Decision) -> Outcome:
    """Do it to as many of the messages as the offer's limit and a person's patience allow, and wake who delivers."""
    chosen = OutboxMessage.objects.filter(pk__in=keys)
    already = chosen.filter(_done_already(offer, decision)).count()
    doable = sorted(possible(offer, chosen, decision).values_list("pk", flat=True))
    done, tried, refused, trouble = 0, 0, 0, ""
    end = time.monotonic() + PATIENCE
    while tried < min(len(doable), offer.limit) and time.monotonic() < end:
        chunk = doable[tried : tried + offer.chunk]
        try:
            done += offer.act(OutboxMessage.objects.filter(pk__in=chunk), decision)
        except ValueError as error:  # such as a mail that gets too large as an attachment
            refused, trouble = refused + len(chunk), str(error)
        tried += len(chunk)
    if offer.wakes:
        transaction.on_commit(dispatchers.wake, robust=True)
    left = doable[tried:]
    missed = len(keys) - done - already - refused - len(left)
    return Outcome(done, already, missed, refused, trouble, left)


def possible(offer: Offer, messages: OutboxMessageQuerySet, decision: Decision) -> OutboxMessageQuerySet:
    """Return those of the messages that this can be done to."""
    chosen = messages.filter(~_done_already(offer, decision), state__in=offer.states)
    return chosen.with_body() if offer.needs_body else chosen


def left_out(offer: Offer, messages: OutboxMessageQuerySet) -> list[tuple[str, int]]:
    """Return why this cannot be done to others of the messages, and to how many."""
    reasons = [(str(state), messages.filter(state=state)) for state in State if state not in offer.states]
    if offer.needs_body:
        reasons.append(("pruned", messages.filter(state__in=offer.states, content=b"")))
    return [(reason, count) for reason, chosen in reasons if (count := chosen.count())]


def _done_already(offer: Offer, decision: Decision) -> models.Exists:
    return models.Exists(_done_since(offer.verb, decision).filter(message=models.OuterRef("pk")))


def _done_since(verb: str, decision: Decision) -> models.QuerySet[Action]:
    done = Action.objects.filter(verb=verb, pk__gt=decision.last_action)
    # What a colleague had forwarded is in a mailbox of his own.
    return done.filter(person=decision.person) if verb == Action.Verb.FORWARDED else done


def last_action() -> int:
    return Action.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _send_again(message: OutboxMessageQuerySet, decision: Decision) -> int:
    return _copy(message, decision, Action.Verb.SENT_AGAIN, _store_again)


def _forward(message: OutboxMessageQuerySet, decision: Decision) -> int:
    return _copy(message, decision, Action.Verb.FORWARDED, _send_to_person)


Copy = Callable[[OutboxMessage, Decision], int | None]  # returns the new message's key


def _copy(message: OutboxMessageQuerySet, decision: Decision, verb: Action.Verb, copy: Copy) -> int:
    using = router.db_for_write(OutboxMessage)
    with transaction.atomic(using=using):
        # Locked, and only then looked at: somebody may prune it, or a second click may come at the same time.
        original = message.using(using).select_for_update().first()
        if original is None or original.is_pruned or _done_since(verb, decision).filter(message=original).exists():
            return 0
        _note(original.pk, verb, decision, copy(original, decision))
    return 1


def _store_again(original: OutboxMessage, decision: Decision) -> int:
    message = new_message_from(original)
    insert_message(message, connections[router.db_for_write(OutboxMessage)])
    _note(message.pk, Action.Verb.COPIED, decision, original.pk)
    return message.pk


def _send_to_person(original: OutboxMessage, decision: Decision) -> int | None:
    email = forwarding(original, decision.address)
    email.send()
    message = getattr(email, "outbox_message", None)  # none if the mail of the project bypasses the outbox
    return message and message.pk


def _note(key: int, verb: Action.Verb, decision: Decision, other: int | None) -> None:
    Action.objects.create(message_id=key, verb=verb, person=decision.person[:MAX_PERSON], other=other)


OFFERS = (
    Offer(
        name="requeue",
        label="Requeue",
        question="Requeue {}",
        done="queued again",
        effect="Due at once, for the recipients who do not have the mail yet.",
        verb=Action.Verb.REQUEUED,
        act=lambda messages, decision: messages.requeue(decision.person),
        states=(State.FAILED, State.HELD, State.CANCELLED),
        needs_body=True,
        wakes=True,
    ),
    Offer(
        name="send_again",
        label="Send again as new",
        question="Send {} again",
        done="sent again",
        effect=(
            "All recipients get it as a new message, with a Message-ID and a date of its own, "
            "and so do those who have the old one."
        ),
        verb=Action.Verb.SENT_AGAIN,
        act=_send_again,
        chunk=1,
        needs_body=True,
        wakes=True,
    ),
    Offer(
        name="hold",
        label="Hold",
        question="Hold {}",
        done="held",
        effect="Nobody delivers what is held until a person releases or cancels it.",
        verb=Action.Verb.HELD,
        act=lambda messages, decision: messages.hold(decision.person),
        states=(State.QUEUED,),
    ),
    Offer(
        name="release",
        label="Release",
        question="Release {}",
        done="released",
        effect="Due at once.",
        verb=Action.Verb.LET_GO,
        act=lambda messages, decision: messages.let_go(decision.person),
        states=(State.HELD,),
        needs_body=True,
        wakes=True,
    ),
    Offer(
        name="cancel",
        label="Cancel",
        question="Cancel {}",
        done="cancelled",
        effect="What is cancelled is given up. Until it is pruned, Requeue takes this back.",
        verb=Action.Verb.CANCELLED,
        act=lambda messages, decision: messages.cancel(decision.person),
        states=(State.QUEUED, State.HELD),
    ),
    Offer(
        name="forward",
        label="Forward to me",
        question="Forward {} to me",
        done="forwarded to you",
        effect="You get a mail with each message as its attachment. The recipients hear nothing of it.",
        verb=Action.Verb.FORWARDED,
        act=_forward,
        chunk=1,
        needs_body=True,
        limit=MOST_FORWARDED,
    ),
)
