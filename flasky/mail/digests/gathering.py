"""Say when a mail is stored whether it is to be told of in a digest, instead of leaving by itself.

Only what has said so may be gathered: an email whose `digest` is what a digest says of it. The first few leave at once.
"""

import json
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.core.mail import EmailMessage
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import translation

from flasky.mail.conf import conf
from flasky.mail.db.write_lock import take_write_lock
from flasky.mail.models import MOST_IN_A_DIGEST, Gathered, OutboxMessage, Priority
from flasky.mail.runtime import clock
from flasky.mail.wire.options import as_json

MADE_BY_US = {"auto-submitted"}  # headers that a digest has too; what has others leaves by itself


def candidate(email: EmailMessage, message: OutboxMessage) -> Gathered | None:
    """Return what is to be stored with the message if it is gathered; None if it must leave by itself.

    Raise ValueError if what a digest is to say of it cannot be kept.
    """
    says = getattr(email, "digest", None)
    if says is None:
        return None
    if not isinstance(says, dict):
        raise ValueError(f"The email's digest is a {type(says).__name__}; give what a digest says of it, as a dict.")
    says = as_json("digest", says)
    if not (conf.MAIL_DIGEST_AFTER and _may_wait(email, message)):
        return None
    envelope = {"from_email": str(email.from_email), "to": [*map(str, email.to)], "language": _language_of(email)}
    return Gathered(group_key=_group(message, envelope), envelope=envelope, says=says, created_at=message.created_at)


def put_off(message: OutboxMessage, gathered: Gathered, connection: BaseDatabaseWrapper) -> bool:
    """Let the message wait for a digest if there were too many like it lately; return whether it does."""
    message.queued_at = message.next_attempt_at = message.created_at  # not as a try that was rolled back has left it
    take_write_lock(connection)
    now = clock.now()
    if not _are_many(message, now):
        return False
    deadline, number = Gathered.objects.waiting_in(gathered.group_key)
    if number >= MOST_IN_A_DIGEST:
        return False  # nobody makes a digest of them: what comes now is within the mail budget, or held
    gathered.due_at = deadline or now + timedelta(seconds=conf.MAIL_DIGEST_WAIT)
    # A deadline that is over, for nobody has looked, must not let it be given up early.
    message.queued_at = message.next_attempt_at = max(gathered.due_at, now)
    return True


def _may_wait(email: EmailMessage, message: OutboxMessage) -> bool:
    """Return whether nothing would be missed that a digest has not: a file, a copy, a time of its own, its haste."""
    is_special = message.priority == Priority.URGENT or message.is_sensitive or message.queued_at > clock.now()
    is_more = email.attachments or email.cc or email.bcc or email.reply_to or message.provider_options
    others = {name.lower() for name in email.extra_headers} - MADE_BY_US
    return bool(message.kind) and not (is_special or is_more or others)


def _are_many(message: OutboxMessage, now: datetime) -> bool:
    since, most = now - timedelta(seconds=conf.MAIL_DIGEST_WINDOW), int(conf.MAIL_DIGEST_AFTER)
    return OutboxMessage.objects.count_to(message.recipients[0].lower(), message.kind, since, most) >= most


def _language_of(email: EmailMessage) -> str:
    return str(getattr(email, "language", "") or translation.get_language() or "")


def _group(message: OutboxMessage, envelope: dict[str, Any]) -> str:
    alike = [message.kind, message.priority, envelope]
    return sha256(json.dumps(alike, sort_keys=True).encode()).hexdigest()
