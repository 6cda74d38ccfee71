"""Prepare the rows of a list: who each message is about or to, what became of it, and what can be done to it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from flasky.mail.conf import conf
from flasky.mail.models import OutboxMessage, Priority, State
from flasky.mail.status.reasons import reason_of
from flasky.mail.web.about import Objects
from flasky.mail.web.actions import Operation
from flasky.mail.web.search import Listing


class Details(NamedTuple):
    """What a list shows of a message that on SQLite is behind the content."""

    cause: str
    kind: str
    priority: str  # nothing if it is the normal one


@dataclass(frozen=True)
class Row:
    message: OutboxMessage
    url: str
    about: str  # the name of the object; nothing if it is about none, or about one that the person may not see
    kind: str
    priority: str  # nothing if it is the normal one, or does not matter any more
    can: list[str]  # the names of the operations that the message is for
    subject: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", without_prefix(self.message.subject))

    @property
    def reason(self) -> str:
        return str(reason_of(self.message.last_reply).label) if self.message.state == State.FAILED else ""


def rows(listing: Listing, objects: Objects, url_of: dict[int, str], operations: Iterable[Operation]) -> list[Row]:
    details = details_of(listing.page)
    names = objects.names({each.cause for each in details.values() if each.cause})
    return [
        Row(
            message,
            url_of[message.pk],
            names.get(details[message.pk].cause, ""),
            details[message.pk].kind,
            "" if message.is_finished else details[message.pk].priority,
            [each.name for each in operations if message.state in each.eligible.states],
        )
        for message in listing.page
        if message.pk in details
    ]


def details_of(messages: Iterable[OutboxMessage]) -> dict[int, Details]:
    """Return the details of each message by its key; of one that has gone meanwhile, none."""
    labels = {**dict(Priority.choices), Priority.NORMAL.value: ""}
    chosen = OutboxMessage.objects.filter(pk__in=[message.pk for message in messages])
    found = chosen.values_list("pk", "cause", "kind", "priority")
    return {key: Details(cause, kind, str(labels.get(priority, ""))) for key, cause, kind, priority in found}


def without_prefix(subject: str) -> str:
    """Return the subject without what each of the project's mails begins with."""
    return subject.removeprefix(conf.FLASKY_MAIL_SUBJECT_PREFIX).lstrip() or subject
