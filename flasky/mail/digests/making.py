"""Make digests of what has been gathered, each in one transaction with the end of the messages that it tells of.

Until then each of them is queued for its deadline. So whatever fails or dies here, nothing is lost and nothing late:
what no digest has taken leaves by itself.
"""

import logging
from collections.abc import Sequence
from typing import Any

from django.core.mail import EmailMessage
from django.db import connections
from django.utils import translation

from flasky.mail import DIGEST, OutboxFull, render_email, rendered_subject
from flasky.mail.db.connections import alias
from flasky.mail.limits.budget import spending
from flasky.mail.models import MOST_IN_A_DIGEST, Gathered, OutboxMessage, Source, State
from flasky.mail.models.one_database import write_transaction
from flasky.mail.runtime import clock
from flasky.mail.storing.insert import insert_message
from flasky.mail.storing.sensitive import mark
from flasky.mail.wire.compose import compose

logger = logging.getLogger(__name__)


def make_digests() -> int:
    """Make a digest of each group that is to wait no longer; return how many messages may leave now."""
    return sum(_end(group) for group in Gathered.objects.groups_to_end())


def _end(group: str) -> int:
    leaving = 0
    while waiting := _waiting_in(group):
        digest = _composed(waiting) if len(waiting) > 1 else None
        if not (_store(digest, waiting) if digest else _let_leave(waiting)):
            break
        leaving += 1 if digest else len(waiting)
    return leaving


def _waiting_in(group: str) -> list[Gathered]:
    """Return the first that wait; forget those that have left by themselves, or are on their way."""
    waiting = Gathered.objects.waiting().filter(group_key=group)
    # The keys first: MariaDB would lock what it only looks at, and two who look would wait for each other.
    untried = waiting.filter(message__state=State.QUEUED, message__attempt_count=0)
    if left := list(waiting.exclude(pk__in=untried.values("pk")).values_list("pk", flat=True)):
        Gathered.objects.waiting().filter(pk__in=left).delete()
    return list(waiting.order_by("message")[:MOST_IN_A_DIGEST])


def _composed(waiting: Sequence[Gathered]) -> OutboxMessage | None:
    """Return the digest; None if its messages are gone, or its templates cannot make one, which the log says."""
    messages = OutboxMessage.objects.filter(pk__in=[each.message_id for each in waiting])
    first = messages.values_list("kind", "priority").first()
    if first is None:  # all were erased since
        return None
    kind, priority = first
    alike: dict[str, Any] = {"priority": priority, "source": Source.DIGEST.value}
    alike["possible_duplicate"] = messages.filter(possible_duplicate=True).exists()
    try:
        email = digest_email(kind + DIGEST, waiting[0].envelope, [each.says for each in waiting])
        digest = OutboxMessage(**compose(email), **alike)
        mark(digest)
        return digest
    except Exception:  # whatever a template raises
        logger.exception("No digest could be made of %d mails %s, and they leave one by one.", len(waiting), kind)
        return None


def digest_email(kind: str, envelope: dict[str, Any], mails: list[dict[str, Any]]) -> EmailMessage:
    """Return the email that tells of the mails, in their language."""
    context = {"mails": mails, "count": len(mails)}
    with translation.override(envelope["language"] or None):
        email = render_email(envelope["to"], rendered_subject(kind, **context), kind, **context)
    email.from_email = envelope["from_email"]
    return email


def _store(digest: OutboxMessage, waiting: Sequence[Gathered]) -> bool:
    """Store the digest and end what it tells of; False if somebody was quicker, or there is no room for one more."""
    using = alias()
    try:
        with write_transaction(using):
            if not _are_ours(waiting, using):
                return False
            with spending(digest) as over:
                insert_message(digest, connections[using], over)
            told = {"state": State.GATHERED, "finished_at": clock.now()}
            OutboxMessage.objects.filter(pk__in=[each.message_id for each in waiting]).update(**told)
            Gathered.objects.filter(pk__in=[each.pk for each in waiting]).update(digest=digest)
    except OutboxFull as error:
        logger.warning("No digest was stored: %s Its %d mails leave one by one.", error, len(waiting))
        return False
    return True


def _are_ours(waiting: Sequence[Gathered], using: str) -> bool:
    """Lock the messages; return whether all of them wait still. In their order, as people's verbs lock them."""
    can_skip = connections[using].features.has_select_for_update_skip_locked
    messages = OutboxMessage.objects.filter(pk__in=[each.message_id for each in waiting], state=State.QUEUED)
    locked = messages.order_by("pk").select_for_update(skip_locked=can_skip).values_list("pk", flat=True)
    still = Gathered.objects.waiting().filter(pk__in=[each.pk for each in waiting])
    return len(locked) == still.count() == len(waiting)


def _let_leave(waiting: Sequence[Gathered]) -> bool:
    """Let each leave by itself, now; return False if somebody was quicker."""
    using, now = alias(), clock.now()
    with write_transaction(using):
        if not _are_ours(waiting, using):
            return False
        messages = OutboxMessage.objects.filter(pk__in=[each.message_id for each in waiting])
        messages.update(queued_at=now, next_attempt_at=now)
        Gathered.objects.filter(pk__in=[each.pk for each in waiting]).delete()
    return True
