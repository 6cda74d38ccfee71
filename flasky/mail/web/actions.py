"""Do what people may do to messages, to one or to many, and note who did it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import connections, models, router, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from flasky.mail import dispatchers
from flasky.mail.models import MAX_ACTOR, Action, OutboxMessage, OutboxMessageQuerySet, State
from flasky.mail.models.one_database import write_transaction
from flasky.mail.status.written import number
from flasky.mail.storing.copies import forwarding, new_message_from
from flasky.mail.storing.insert import insert_message

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
    return models.Exists(_done_since(operation.verb, asked).filter(message=models.OuterRef("pk")))


def _done_since(verb: str, asked: ActionRequest) -> models.QuerySet[Action]:
    done = Action.objects.filter(verb=verb, pk__gt=asked.since)
    # What was forwarded to somebody else is in another mailbox.
    return done.filter(actor=asked.actor) if verb == Action.Verb.FORWARDED else done


def last_action() -> int:
    return Action.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _send_again(message: OutboxMessageQuerySet, asked: ActionRequest) -> int:
    return _copy(message, asked, Action.Verb.SENT_AGAIN, _store_again)


def _forward(message: OutboxMessageQuerySet, asked: ActionRequest) -> int:
    return _copy(message, asked, Action.Verb.FORWARDED, _send_to_person)


Copy = Callable[[OutboxMessage, ActionRequest], int | None]  # returns the new message's key


def _copy(message: OutboxMessageQuerySet, asked: ActionRequest, verb: Action.Verb, copy: Copy) -> int:
    using = router.db_for_write(OutboxMessage)
    with write_transaction(using):
        # Locked, and only then looked at: somebody may prune it, or a second click may come at the same time.
        original = message.using(using).select_for_update().first()
        if original is None or original.is_pruned or _done_since(verb, asked).filter(message=original).exists():
            return 0
        _note(original.pk, verb, asked, copy(original, asked))
    return 1


def _store_again(original: OutboxMessage, asked: ActionRequest) -> int:
    message = new_message_from(original)
    insert_message(message, connections[router.db_for_write(OutboxMessage)])
    _note(message.pk, Action.Verb.COPIED, asked, original.pk)
    return message.pk


def _send_to_person(original: OutboxMessage, asked: ActionRequest) -> int | None:
    email = forwarding(original, asked.address)
    email.send()
    message = getattr(email, "outbox_message", None)  # none if the mail of the project bypasses the outbox
    return message and message.pk


def _note(key: int, verb: Action.Verb, asked: ActionRequest, other: int | None) -> None:
    Action.objects.create(message_id=key, verb=verb, actor=asked.actor[:MAX_ACTOR], other=other)


OPERATIONS = (
    Operation(
        name="requeue",
        words=Words(
            label=gettext_lazy("Requeue"),
            question=ngettext_lazy("Requeue %(number)s message", "Requeue %(number)s messages", "count"),
            effect=gettext_lazy("Due at once, for the recipients who do not have the mail yet."),
            done=ngettext_lazy("%(number)s queued again.", "%(number)s queued again.", "count"),
            only=gettext_lazy("Only what is failed, held or cancelled (and not pruned) can be queued again."),
        ),
        verb=Action.Verb.REQUEUED,
        act=lambda messages, asked: messages.requeue(asked.actor),
        eligible=Eligible(State.for_requeue(), needs_body=True),
        wakes=True,
    ),
    Operation(
        name="send_again",
        words=Words(
            label=gettext_lazy("Send again as new"),
            question=ngettext_lazy("Send %(number)s message again", "Send %(number)s messages again", "count"),
            effect=gettext_lazy(
                "All recipients get it as a new message, with a Message-ID and a date of its own, "
                "and so do those who have the old one."
            ),
            done=ngettext_lazy("%(number)s sent again.", "%(number)s sent again.", "count"),
            only=gettext_lazy("Only what is not pruned can be sent again."),
        ),
        verb=Action.Verb.SENT_AGAIN,
        act=_send_again,
        eligible=Eligible(needs_body=True),
        wakes=True,
        chunk=1,
    ),
    Operation(
        name="hold",
        words=Words(
            label=gettext_lazy("Hold"),
            question=ngettext_lazy("Hold %(number)s message", "Hold %(number)s messages", "count"),
            effect=gettext_lazy("Nobody delivers what is held until a person releases or cancels it."),
            done=ngettext_lazy("%(number)s held.", "%(number)s held.", "count"),
            only=gettext_lazy("Only what is queued can be held."),
        ),
        verb=Action.Verb.HELD,
        act=lambda messages, asked: messages.hold(asked.actor),
        eligible=Eligible(State.for_hold()),
    ),
    Operation(
        name="release",
        words=Words(
            label=gettext_lazy("Release"),
            question=ngettext_lazy("Release %(number)s message", "Release %(number)s messages", "count"),
            effect=gettext_lazy("Due at once."),
            done=ngettext_lazy("%(number)s released.", "%(number)s released.", "count"),
            only=gettext_lazy("Only what is held (and not pruned) can be released."),
        ),
        verb=Action.Verb.RELEASED,
        act=lambda messages, asked: messages.release(asked.actor),
        eligible=Eligible(State.for_release(), needs_body=True),
        wakes=True,
    ),
    Operation(
        name="cancel",
        words=Words(
            label=gettext_lazy("Cancel"),
            question=ngettext_lazy("Cancel %(number)s message", "Cancel %(number)s messages", "count"),
            effect=gettext_lazy("What is cancelled is given up. Until it is pruned, Requeue takes this back."),
            done=ngettext_lazy("%(number)s cancelled.", "%(number)s cancelled.", "count"),
            only=gettext_lazy("Only what is queued or held can be cancelled."),
        ),
        verb=Action.Verb.CANCELLED,
        act=lambda messages, asked: messages.cancel(asked.actor),
        eligible=Eligible(State.for_cancel()),
    ),
    Operation(
        name="forward",
        words=Words(
            label=gettext_lazy("Forward to me"),
            question=ngettext_lazy("Forward %(number)s message to me", "Forward %(number)s messages to me", "count"),
            effect=gettext_lazy(
                "You get a mail with each message as its attachment. The recipients hear nothing of it."
            ),
            done=ngettext_lazy("%(number)s forwarded to you.", "%(number)s forwarded to you.", "count"),
            only=gettext_lazy("Only what is not pruned and not sensitive can be forwarded to you."),
        ),
        verb=Action.Verb.FORWARDED,
        act=_forward,
        eligible=Eligible(needs_body=True, shows_it=True),
        mails_actor=True,
        limit=MOST_FORWARDED,
        chunk=1,
    ),
)
