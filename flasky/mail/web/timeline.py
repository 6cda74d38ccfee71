"""List in the order of time what happened to a message."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.models import Action, Attempt, Gathered, OutboxMessage, Source
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.status.written import listed, number


@dataclass
class Entry:
    at: datetime
    code: str
    label: str
    reply: str = ""
    details: str = ""
    other: int | None = None  # the number of another message


def history(message: OutboxMessage) -> list[Entry]:
    """Return in the order of time: that it was stored, the attempts, what people did, and in which digest it went."""
    happened = [from_attempt(attempt) for attempt in message.attempts.all()]
    happened += [from_action(action) for action in message.actions.all()]
    happened += [from_digest(message, each) for each in Gathered.objects.filter(message=message, digest__isnull=False)]
    stored = Entry(message.created_at, "stored", _("stored"), details=origin_of(message))
    return [stored, *sorted(happened, key=lambda entry: entry.at)]


def from_digest(message: OutboxMessage, gathered: Gathered) -> Entry:
    return Entry(message.finished_at or gathered.due_at, "gathered", _("went into a digest:"), other=gathered.digest_id)


FROM = {
    Source.ADMIN.value: gettext_lazy("from the admin"),
    Source.COMMAND.value: gettext_lazy("from manage.py sendtestemail"),
    Source.DIGEST.value: gettext_lazy("as a digest"),
    Source.UNKNOWN.value: gettext_lazy("from elsewhere"),
}
BY_PERSON = {
    Source.ADMIN.value: gettext_lazy("from the admin, by %(person)s"),
    Source.COMMAND.value: gettext_lazy("from manage.py sendtestemail, by %(person)s"),
    Source.UNKNOWN.value: gettext_lazy("from elsewhere, by %(person)s"),
}


def origin_of(message: OutboxMessage) -> str:
    """Return where the message came from, and who caused it there."""
    values = {"route": message.source, "person": message.actor}
    if message.actor:
        return str(BY_PERSON.get(message.source) or _("from %(route)s, by %(person)s")) % values
    return str(FROM.get(message.source) or _("from %(route)s")) % values


def label_of(source: str) -> str:
    return str(Source(source).label) if source in Source.values else source


def from_attempt(attempt: Attempt) -> Entry:
    details = []
    if attempt.server:  # a holder who died has left no more than its name
        values = {"seconds": number(attempt.seconds, 2), "server": attempt.server}
        details.append(SECURITY[attempt.secured, attempt.logged_in] % values)
    if attempt.worker:
        details.append(_("by %(worker)s") % {"worker": attempt.worker})
    return Entry(
        attempt.started_at,
        attempt.outcome,
        attempt.get_outcome_display(),
        in_their_words(attempt.reply),
        listed(details),
    )


SECURITY = {  # encrypted, logged in
    (True, True): gettext_lazy("%(seconds)s s, %(server)s (encrypted, logged in)"),
    (True, False): gettext_lazy("%(seconds)s s, %(server)s (encrypted, no login)"),
    (False, True): gettext_lazy("%(seconds)s s, %(server)s (not encrypted, logged in)"),
    (False, False): gettext_lazy("%(seconds)s s, %(server)s (not encrypted, no login)"),
}


def from_action(action: Action) -> Entry:
    by = _("by %(person)s") % {"person": action.actor or _("somebody")}
    return Entry(action.at, action.verb, action.get_verb_display(), details=by, other=action.other)
