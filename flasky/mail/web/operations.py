"""List what people may do to messages, with the words for it."""

from collections.abc import Callable

from django.db import connections, router
from django.utils.translation import gettext_lazy, ngettext_lazy

from flasky.mail.models import MAX_ACTOR, Action, OutboxMessage, OutboxMessageQuerySet, RelayOutage, State
from flasky.mail.models.one_database import write_transaction
from flasky.mail.status.reasons import reason_of
from flasky.mail.storing.copies import forwarding, new_message_from, new_message_to
from flasky.mail.storing.insert import insert_message
from flasky.mail.web.actions import MOST_FORWARDED, ActionRequest, Eligible, Operation, Words, done_since


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
        if original is None or original.is_pruned or done_since(verb, asked).filter(message=original).exists():
            return 0
        _note(original.pk, verb, asked, copy(original, asked))
    return 1


def _store_again(original: OutboxMessage, asked: ActionRequest) -> int:
    return _store_copy(new_message_from(original), original, asked)


def _store_corrected(original: OutboxMessage, asked: ActionRequest) -> int:
    return _store_copy(new_message_to(asked.corrected, original), original, asked)


def _store_copy(message: OutboxMessage, original: OutboxMessage, asked: ActionRequest) -> int:
    insert_message(message, connections[router.db_for_write(OutboxMessage)])
    _note(message.pk, Action.Verb.COPIED, asked, original.pk)
    return message.pk


def _correct(message: OutboxMessageQuerySet, asked: ActionRequest) -> int:
    return _copy(message, asked, Action.Verb.SENT_AGAIN, _store_corrected)


def _send_to_person(original: OutboxMessage, asked: ActionRequest) -> int | None:
    email = forwarding(original, asked.address)
    email.send()
    message = getattr(email, "outbox_message", None)  # none if the mail of the project bypasses the outbox
    return message and message.pk


def _try_now(messages: OutboxMessageQuerySet, asked: ActionRequest) -> int:
    done = messages.try_now(asked.actor)
    RelayOutage.objects.ask_now()
    return done


def _note(key: int, verb: Action.Verb, asked: ActionRequest, other: int | None) -> None:
    Action.objects.create(message_id=key, verb=verb, actor=asked.actor[:MAX_ACTOR], other=other)


OPERATIONS = (
    Operation(
        name="try_now",
        words=Words(
            label=gettext_lazy("Try now"),
            question=ngettext_lazy("Try %(number)s message now", "Try %(number)s messages now", "count"),
            effect=gettext_lazy(
                "Due at once, whatever it waits for. A relay that takes no mail is asked now, not only at its next "
                "probe."
            ),
            done=ngettext_lazy("%(number)s is tried now.", "%(number)s are tried now.", "count"),
            only=gettext_lazy("Only what is queued can be tried now."),
        ),
        verb=Action.Verb.TRIED_NOW,
        act=_try_now,
        eligible=Eligible(State.for_try_now()),
        wakes=True,
    ),
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

CORRECT = Operation(
    name="correct",
    words=Words(
        label=gettext_lazy("Send again as new"),
        question=ngettext_lazy(
            "Send %(number)s message again to the corrected address",
            "Send %(number)s messages again to the corrected address",
            "count",
        ),
        effect=gettext_lazy("Only the corrected address gets it, as a new message with a Message-ID of its own."),
        done=ngettext_lazy("%(number)s sent again.", "%(number)s sent again.", "count"),
        only=gettext_lazy("Only what is failed (and not pruned and not sensitive) can be sent to another address."),
    ),
    verb=Action.Verb.SENT_AGAIN,
    act=_correct,
    eligible=Eligible((State.FAILED,), needs_body=True, shows_it=True),  # whoever gets it reads it
    wakes=True,
    chunk=1,
)


def wrong_address(message: OutboxMessage) -> str:
    """Return the one address that was refused for what it is; nothing if another one would not help."""
    refused = [address for address, outcome in message.outcomes.items() if not outcome["accepted"]]
    is_wrong = len(refused) == 1 and reason_of(message.outcomes[refused[0]]["reply"]).is_the_address
    return refused[0] if is_wrong and message.state == State.FAILED else ""


HELPS = {
    State.QUEUED: "try_now",
    State.HELD: "release",
    State.FAILED: "requeue",
    State.CANCELLED: "requeue",
}
