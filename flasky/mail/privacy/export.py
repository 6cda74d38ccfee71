"""Write what the outbox keeps of a person into a file that they can be given."""

import json
from datetime import datetime
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZipFile

from django.utils.translation import gettext_lazy

from flasky.mail.models import Action, OutboxMessage
from flasky.mail.privacy.trail import Person, Trail
from flasky.mail.runtime import clock

LIST = "told of in a list with others"
ABOUT_THIS_FILE = gettext_lazy(
    "What a site keeps of your mail, as of %(now)s.\n"
    "\n"
    "mail.json    each mail to you, about you or with your address in it, and what became of it for you\n"
    "messages/    the mails themselves, as far as they are still kept: NUMBER.eml, which every mail program opens\n"
)


def export(person: Person, file: IO[bytes]) -> tuple[int, int]:
    """Write a zip file; return how many messages it lists, and how many of them it has whole."""
    trail, now = Trail.of(person), clock.now()
    kinds = {
        "about you": trail.about,
        "to you": trail.alone,
        "a copy for somebody else": trail.copies,
        "to you and others": trail.shared,
        "with your address in it": trail.naming,
        LIST: trail.digests,
        "caused by you": trail.caused,
    }
    listed, whole = [], 0
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", str(ABOUT_THIS_FILE % {"now": _moment(now)}))
        for key in sorted(set().union(*kinds.values())):
            message = OutboxMessage.objects.filter(pk=key).first()
            if message is None:  # pruned meanwhile
                continue
            has_file = is_given(message, trail)
            listed.append(_described(person, message, [kind for kind, keys in kinds.items() if key in keys], has_file))
            if has_file:
                archive.writestr(f"messages/{key}.eml", bytes(message.content))
                whole += 1
        actions = [_action(action) for action in Action.objects.filter(pk__in=trail.actions)]
        content = {"exported_at": _moment(now), "messages": listed, "actions": actions}
        archive.writestr("mail.json", json.dumps(content, ensure_ascii=False, indent=2))
    return len(listed), whole


def is_given(message: OutboxMessage, trail: Trail) -> bool:
    """Return whether the mail itself is: none of others that only names the person, or was caused by them.

    And no sensitive one: whoever writes the file is not to see it.
    """
    return not (message.is_pruned or message.is_sensitive) and message.pk in trail.about | trail.alone | trail.shared


def _described(person: Person, message: OutboxMessage, kinds: list[str], has_file: bool) -> dict[str, Any]:
    """Return what concerns the person; of the other recipients nothing."""
    return {
        "number": message.pk,
        "is": kinds,
        "file": f"messages/{message.pk}.eml" if has_file else None,
        "from": message.from_header,
        "your_addresses": [address for address in message.recipients if person.is_(address)],
        "subject": "" if LIST in kinds else message.subject,  # it names others
        "message_id": message.message_id,
        "kind": message.kind,
        "state": message.state,
        "stored_at": _moment(message.created_at),
        "finished_at": _moment(message.finished_at),
        "outcomes": {address: outcome for address, outcome in message.outcomes.items() if person.is_(address)},
        "provider": [
            {"address": status.address, "name": status.provider, "id": status.provider_id, "status": status.status}
            for status in message.provider_statuses.all()
            if person.is_(status.address)
        ],
    }


def _action(action: Action) -> dict[str, Any]:
    return {"number": action.message_id, "verb": action.verb, "at": _moment(action.at)}


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
