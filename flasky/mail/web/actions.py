"""Do what people may do to messages, to one or to many, as far as each may have it done."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import models, transaction
from django.utils.translation import gettext as _

from flasky.mail import dispatchers
from flasky.mail.models import Action, OutboxMessage, OutboxMessageQuerySet, State
from flasky.mail.status.written import number

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

MOST_AT_ONCE = 10_000  # messages
MOST_FORWARDED = 20
ANSWER_AFTER = 4  # s, after which the person is answered and may go on with the rest
CHUNK = 100  # messages between two looks at the clock


class ActionRequest(NamedTuple):
    """Who asks for an operation, and since when: what was done after the question was put is not done once more."""

    actor: str
    address: str  # where forwarded mail goes
    since: int  # the last action of anybody, when the question was put; no clock, for the hosts' clocks may differ
    corrected: str = ""  # where a mail goes whose recipient was wrong


class Words(NamedTuple):
    """What is said of an operation: on its button, in its question, before and after it is done."""

    label: "_StrOrPromise"
    question: "_StrOrPromise"  # by how many messages, as is what is done
    effect: "_StrOrPromise"
    done: "_StrOrPromise"
    only: "_StrOrPromise"  # which messages it is for

    def ask(self, count: int) -> str:
        return _in_words(self.question, count)

    def report(self, count: int) -> str:
        return _in_words(self.done, count)


def _in_words(sentence: "_StrOrPromise", count: int) -> str:
    return sentence % {"count": count, "number": number(count)}


@dataclass(frozen=True)
class Eligible:
    """Which messages an operation is for."""

    states: tuple[State, ...] = tuple(State)
    needs_body: bool = False
    shows_it: bool = False  # what is sensitive is shown to nobody

    def includes(self, message: OutboxMessage) -> bool:
        if (self.needs_body and message.is_pruned) or (self.shows_it and message.is_sensitive):
            return False
        return message.state in self.states

    def among(self, messages: OutboxMessageQuerySet) -> OutboxMessageQuerySet:
        chosen = messages.filter(state__in=self.states)
        if self.shows_it:
            chosen = chosen.filter(is_sensitive=False)
        return chosen.with_body() if self.needs_body else chosen

    def left_out(self, messages: OutboxMessageQuerySet) -> list[tuple[str, int]]:
        """Return why others of the messages are not eligible, and how many."""
        reasons = [(state.label.lower(), messages.filter(state=state)) for state in State if state not in self.states]
        if self.needs_body:
            without_body = messages.filter(state__in=self.states, content=b"")
            reasons.append((_("pruned"), without_body.filter(is_sensitive=False)))
            reasons.append(
                (_("sensitive, with a body that was dropped once it was sent"), without_body.filter(is_sensitive=True))
            )
        if self.shows_it:
            reasons.append((_("sensitive"), messages.filter(state__in=self.states, is_sensitive=True).with_body()))
        return [(reason, count) for reason, chosen in reasons if (count := chosen.count())]


@dataclass(frozen=True)
class Operation:
    """One of the things that people may do to messages."""

    name: str
    words: Words
    verb: Action.Verb
    act: Callable[[OutboxMessageQuerySet, ActionRequest], int]
    eligible: Eligible
    wakes: bool = False
    mails_actor: bool = False  # who asks gets mail by it
    limit: int = MOST_AT_ONCE
    chunk: int = CHUNK


class OperationResult(NamedTuple):
    done: int
    already: int  # done by somebody else, or by a first click, after the question was put
    missed: int  # changed or removed meanwhile
    refused: int
    reason: str  # why the last of them was refused
    left: list[int]  # keys of what is to be done in another go


def perform(operation: Operation, keys: list[int], asked: ActionRequest) -> OperationResult:
    """Do it to as many of the messages as its limit and a person's patience allow, and wake who delivers."""
    chosen = OutboxMessage.objects.filter(pk__in=keys)
    already = chosen.filter(_done_already(operation, asked)).count()
    doable = sorted(possible(operation, chosen, asked).values_list("pk", flat=True))
    done, tried, refused, reason = 0, 0, 0, ""
    end = time.monotonic() + ANSWER_AFTER
    while tried < min(len(doable), operation.limit) and time.monotonic() < end:
        chunk = doable[tried : tried + operation.chunk]
        try:
            done += operation.act(OutboxMessage.objects.filter(pk__in=chunk), asked)
        except ValueError as error:  # such as a mail that gets too large as an attachment
            refused, reason = refused + len(chunk), str(error)
        tried += len(chunk)
    if operation.wakes:
        transaction.on_commit(dispatchers.wake, robust=True)
    left = doable[tried:]
    missed = len(keys) - done - already - refused - len(left)
    return OperationResult(done, already, missed, refused, reason, left)


def possible(operation: Operation, messages: OutboxMessageQuerySet, asked: ActionRequest) -> OutboxMessageQuerySet:
    """Return those of the messages that this can be done to."""
    return operation.eligible.among(messages).filter(~_done_already(operation, asked))


def _done_already(operation: Operation, asked: ActionRequest) -> models.Exists:
    return models.Exists(done_since(operation.verb, asked).filter(message=models.OuterRef("pk")))


def done_since(verb: str, asked: ActionRequest) -> models.QuerySet[Action]:
    done = Action.objects.filter(verb=verb, pk__gt=asked.since)
    # What was forwarded to somebody else is in another mailbox.
    return done.filter(actor=asked.actor) if verb == Action.Verb.FORWARDED else done


def last_action() -> int:
    return Action.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
