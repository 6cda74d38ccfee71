"""Erase the trail of a person: whole messages where nobody else needs them, and the person out of the others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction

from flasky.mail.conf import conf
from flasky.mail.db.connections import alias
from flasky.mail.models import (
    Action,
    FurtherRecipient,
    Gathered,
    HourlyCount,
    OutboxMessage,
    ProviderStatus,
    RelayOutage,
    State,
)
from flasky.mail.models.one_database import write_transaction
from flasky.mail.privacy.trail import Person, Trail, as_text, columns, is_named_in_body
from flasky.mail.runtime import clock

ERASED = "(erased)"  # what stands in the place of an address
BATCH = 500  # keys in one statement


@dataclass
class Erased:
    """What was erased, in messages."""

    removed: int = 0  # with their history
    unsent: int = 0  # of these: they never will be
    on_the_wire: int = 0  # of these: they may still arrive
    cleaned: int = 0  # others' messages out of which the person was taken
    emptied: int = 0  # of these: their bodies named the person
    unnamed: int = 0  # actions, and messages, whose actor has no name any more
    left: list[int] = field(default_factory=list)  # numbers of those that still name the person: others wait for them


def erase(person: Person, dry_run: bool = False) -> Erased:
    """Erase what there is of the person; return what was, or what would be."""
    trail, erased = Trail.of(person), Erased()
    if not dry_run:
        _erase(person, trail, erased)
        return erased
    with write_transaction(alias()):
        _erase(person, trail, erased)
        transaction.set_rollback(True, using=alias())
    return erased


def _erase(person: Person, trail: Trail, erased: Erased) -> None:
    for key in sorted(trail.digests):  # first: what is removed leads to no digest any more
        _take_out_of_digest(key, trail.whole, erased)
    for keys in _batches(trail.whole):
        _remove(keys, erased)
    for key in sorted(trail.shared | trail.naming):
        _take_out(person, key, erased)
    erased.unnamed += _update(OutboxMessage, trail.caused - trail.whole, actor="")
    erased.unnamed += _update(Action, trail.actions, actor="")
    for outage in RelayOutage.objects.all():
        if person.is_(outage.sender) or person.is_named_in(outage.reason):
            outage.delete()  # whoever meets it notes it again


def _batches(keys: Iterable[int]) -> Iterator[list[int]]:
    ordered = sorted(keys)
    for start in range(0, len(ordered), BATCH):
        yield ordered[start : start + BATCH]


def _update(model: Any, keys: Iterable[int], **changes: Any) -> int:
    return sum(model.objects.filter(pk__in=batch).update(**changes) for batch in _batches(keys))


def _remove(keys: list[int], erased: Erased) -> None:
    """Delete the messages in whatever state. One that is on the wire is taken from its holder, who notes no reply."""
    with write_transaction(alias()):
        locked = OutboxMessage.objects.filter(pk__in=keys).order_by("pk").select_for_update()
        states = dict(locked.values_list("pk", "state"))
        if states:
            HourlyCount.objects.note_number(max(states))
        OutboxMessage.objects.filter(pk__in=states).only("pk").delete()
    erased.removed += len(states)
    erased.unsent += sum(state in (State.QUEUED, State.HELD) for state in states.values())
    erased.on_the_wire += sum(state == State.SENDING for state in states.values())


def _take_out_of_digest(key: int, whole: set[int], erased: Erased) -> None:
    """Empty a digest that is finished. Any other is removed, and what else it tells of waits for another."""
    with write_transaction(alias()):
        digest = OutboxMessage.objects.filter(pk=key).select_for_update().first()
        if digest is None:
            return
        others = {*Gathered.objects.filter(digest=key).values_list("message_id", flat=True)} - whole
        if digest.is_finished:
            digest.content, digest.as_given, digest.subject = b"", None, ERASED
            digest.save(update_fields=["content", "as_given", "subject"])
            erased.cleaned += 1
            erased.emptied += 1
        else:
            _put_back(others, digest)
            _remove([key], erased)


def _put_back(keys: Iterable[int], digest: OutboxMessage) -> None:
    """Let the messages wait for another digest, or for a person's decision if the digest does."""
    soon = clock.now() + timedelta(seconds=2 * conf.MAIL_SWEEP_INTERVAL)
    waiting = {"finished_at": None, "queued_at": soon, "next_attempt_at": soon}
    state = State.HELD if digest.state == State.HELD else State.QUEUED
    was_on_the_wire = {"possible_duplicate": True} if digest.state == State.SENDING else {}
    for batch in _batches(keys):
        OutboxMessage.objects.filter(pk__in=batch).update(state=state, **waiting, **was_on_the_wire)
        Gathered.objects.filter(message__in=batch).update(digest=None, due_at=soon)


def _take_out(person: Person, key: int, erased: Erased) -> None:
    """Take the person out of a message that is others' too; what is being sent is left, and noted as such."""
    with write_transaction(alias()):
        message = OutboxMessage.objects.filter(pk=key).select_for_update().first()
        if message is None:
            return
        if message.state == State.SENDING:
            erased.left.append(key)
            return
        before = message.recipients, [*columns(message)], message.content
        _clean(person, message)
        if message.is_finished and is_named_in_body(person, message):
            message.content, message.as_given = b"", None
            erased.emptied += 1
        elif is_named_in_body(person, message) or person.is_named_in(*columns(message)):
            erased.left.append(key)
        changed = _clean_history(person, message) | _clean_gathered(person, message)
        if changed or before != (message.recipients, [*columns(message)], message.content):
            message.save()
            erased.cleaned += 1


def _clean(person: Person, message: OutboxMessage) -> None:
    """Take the person out of the columns. What whoever delivers needs of a message that waits stays."""
    message.recipients = [address for address in message.recipients if not person.is_(address)]
    message.outcomes = {
        address: {**outcome, "reply": person.named.sub(ERASED, outcome["reply"])}
        for address, outcome in message.outcomes.items()
        if not person.is_(address)
    }
    for name in ("subject", "from_header", "last_reply"):
        setattr(message, name, person.named.sub(ERASED, getattr(message, name)))
    if message.is_finished:
        message.envelope_sender = "" if person.is_(message.envelope_sender) else message.envelope_sender
        message.message_id = person.named.sub(ERASED, message.message_id)
        message.provider_options = _masked(person, message.provider_options)
    _find_by_others(person, message)


def _masked(person: Person, value: Any) -> Any:
    """Return JSON without the addresses, in keys too."""
    if isinstance(value, dict):
        return {person.named.sub(ERASED, name): _masked(person, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(person, each) for each in value]
    return person.named.sub(ERASED, value) if isinstance(value, str) else value


def _find_by_others(person: Person, message: OutboxMessage) -> None:
    """Let searches find the message by the recipients that are left, the first of them by its own column."""
    first = message.recipients[0].lower() if message.recipients else ""
    gone = FurtherRecipient.objects.filter(message=message, address__in=[*person.addresses, first])
    if message.first_recipient != first:
        message.first_recipient = first
    else:
        gone = gone.exclude(address=first)
    gone.delete()


def _clean_gathered(person: Person, message: OutboxMessage) -> bool:
    """Let the message leave by itself if it still waits for a digest, which would go to the person, or name them."""
    gathered = Gathered.objects.filter(message=message).first()
    if gathered is None or not person.is_named_in(as_text(gathered.envelope), as_text(gathered.says)):
        return False
    if gathered.digest_id is None:
        gathered.delete()
    else:
        gathered.envelope, gathered.says = _masked(person, gathered.envelope), _masked(person, gathered.says)
        gathered.save(update_fields=["envelope", "says"])
    return True


def _clean_history(person: Person, message: OutboxMessage) -> bool:
    changed = False
    for attempt in message.attempts.all():
        if person.is_named_in(attempt.reply):
            attempt.reply, changed = person.named.sub(ERASED, attempt.reply), True
            attempt.save(update_fields=["reply"])
    statuses = ProviderStatus.objects.filter(message=message)
    keys = [key for key, address in statuses.values_list("pk", "address") if person.is_(address)]
    return bool(statuses.filter(pk__in=keys).delete()[0]) or changed
