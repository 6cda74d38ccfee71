"""Find the trail of a person in the outbox: the mails to them, about them, and those that name them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flasky.mail.models import (
    Action,
    Attempt,
    FurtherRecipient,
    Gathered,
    OutboxMessage,
    OutboxMessageQuerySet,
    ProviderStatus,
)
from flasky.mail.wire.mime import Parts, content_of, decoded, text_of

WINDOW = 50  # messages that are read at once, with their bodies
ENCODED = re.compile(rb"base64|quoted-printable|=\?", re.IGNORECASE)  # only then the bytes may hide an address


@dataclass(frozen=True)
class Person:
    """By what the outbox may know somebody."""

    addresses: frozenset[str] = frozenset()  # in lower case, with the domain as it is on the wire
    causes: frozenset[str] = frozenset()  # objects that are the person, as cause_of() names them
    names: frozenset[str] = frozenset()  # under which they have logged in

    @cached_property
    def named(self) -> re.Pattern[str]:
        """What finds one of the addresses in a text, and not within a longer one."""
        forms = {form for address in self.addresses for form in (address, with_readable_domain(address))}
        each = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        return re.compile(rf"(?<![\w.+%-])(?:{each})(?![\w-]|\.\w)" if each else r"(?!)", re.IGNORECASE)

    def is_(self, address: str) -> bool:
        return address.lower() in self.addresses

    def is_named_in(self, *texts: str) -> bool:
        return any(map(self.named.search, texts))

    def has_acted_as(self, actor: str) -> bool:
        return actor.partition(" (manage.py")[0] in self.names


def with_readable_domain(address: str) -> str:
    local_part, at, domain = address.rpartition("@")
    try:
        return local_part + at + domain.encode("ascii").decode("idna")
    except UnicodeError:
        return address


@dataclass
class Trail:
    """The keys of the messages that have to do with a person."""

    about: set[int] = field(default_factory=set)
    alone: set[int] = field(default_factory=set)  # to nobody else
    copies: set[int] = field(default_factory=set)  # forwarded, of those before
    shared: set[int] = field(default_factory=set)  # to others too
    naming: set[int] = field(default_factory=set)  # to others, with the person's address somewhere in them
    digests: set[int] = field(default_factory=set)  # that tell of those before, and what was made of such a digest
    caused: set[int] = field(default_factory=set)  # stored while the person was logged in
    actions: set[int] = field(default_factory=set)  # keys of actions, not of messages

    @property
    def whole(self) -> set[int]:
        return self.about | self.alone | self.copies

    @classmethod
    def of(cls, person: Person) -> "Trail":
        """Return what there is now; with an address every message is read, bodies too."""
        trail = cls()
        trail.about = _keys(OutboxMessage.objects.filter(cause__in=person.causes)) if person.causes else set()
        for address in person.addresses:
            for key, recipients in OutboxMessage.objects.to(address).values_list("pk", "recipients"):
                (trail.alone if all(map(person.is_, recipients)) else trail.shared).add(key)
        trail.copies = _made_of(trail.about | trail.alone, Action.Verb.FORWARDED)
        told = Gathered.objects.filter(message__in=trail.whole, digest__isnull=False).values_list("digest", flat=True)
        trail.digests = {*told}
        trail.digests |= _made_of(trail.digests, Action.Verb.FORWARDED, Action.Verb.SENT_AGAIN)
        trail.digests -= trail.whole
        trail.shared -= trail.whole | trail.digests
        if person.addresses:
            trail.naming = set(_naming(person)) - trail.whole - trail.shared - trail.digests
        if person.names:
            acted = OutboxMessage.objects.exclude(actor="").values_list("pk", "actor")
            trail.caused = {key for key, actor in acted if person.has_acted_as(actor)}
            done = Action.objects.exclude(actor="").values_list("pk", "actor")
            trail.actions = {key for key, actor in done if person.has_acted_as(actor)}
        return trail


def _keys(messages: OutboxMessageQuerySet) -> set[int]:
    return set(messages.values_list("pk", flat=True))


def _made_of(originals: set[int], *verbs: Action.Verb) -> set[int]:
    found: set[int] = set()
    while originals:
        made = Action.objects.filter(verb__in=verbs, message__in=originals, other__isnull=False)
        originals = {key for key in made.values_list("other", flat=True) if key} - found
        found |= _keys(OutboxMessage.objects.filter(pk__in=originals))
    return found


def _naming(person: Person) -> Iterator[int]:
    """Yield the keys of all messages that have one of the addresses in a column, in the body or in their history."""
    for message in _windows(OutboxMessage.objects.all()):
        if person.is_named_in(*columns(message)) or is_named_in_body(person, message):
            yield message.pk
    for key, reply in Attempt.objects.exclude(reply="").values_list("message_id", "reply").iterator():
        if person.is_named_in(reply):
            yield key
    for key, address in ProviderStatus.objects.values_list("message_id", "address").iterator():
        if person.is_(address):
            yield key
    for key, envelope, says in Gathered.objects.values_list("message_id", "envelope", "says").iterator():
        if person.is_named_in(as_text(envelope), as_text(says)):
            yield key
    for address in person.addresses:
        yield from FurtherRecipient.objects.filter(address=address).values_list("message_id", flat=True)


def _windows(messages: OutboxMessageQuerySet) -> Iterator[OutboxMessage]:
    """Yield each message, read a few at a time: MariaDB's driver would hold all of a query in memory."""
    last = 0
    while window := list(messages.filter(pk__gt=last).order_by("pk")[:WINDOW]):
        yield from window
        last = window[-1].pk


def columns(message: OutboxMessage) -> list[str]:
    """Return what a message has beside its body in which an address may stand."""
    texts = [message.from_header, message.envelope_sender, message.subject, message.last_reply, message.message_id]
    return [*texts, *map(as_text, (message.recipients, message.outcomes, message.provider_options))]


def as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def is_named_in_body(person: Person, message: OutboxMessage) -> bool:
    content = bytes(message.content)
    if person.is_named_in(content.decode(errors="replace"), as_text(message.as_given)):
        return True
    return bool(ENCODED.search(content)) and any(map(person.is_named_in, _decoded_texts(Parts(content).parsed)))


def _decoded_texts(mail: Any) -> Iterator[str]:
    for part in mail.walk():  # those of attached mails too
        yield "\n".join(decoded(str(value)) for _, value in part.raw_items())
        if not part.is_multipart():
            yield text_of(part)
            yield content_of(part).decode(errors="replace")
