"""Keep the leases of what this process holds right now, however long the relay takes."""

import contextlib
import uuid
from collections.abc import Iterator

from django.db import transaction

from flasky.mail.conf import conf
from flasky.mail.db.connections import alias
from flasky.mail.models import OutboxMessage
from flasky.mail.runtime.heartbeat import Heartbeat
from flasky.mail.signals import leases_renewed


def _renew(tokens: set[uuid.UUID]) -> None:
    with transaction.atomic(using=alias()):
        OutboxMessage.objects.renew(tokens)
        leases_renewed.send_robust(OutboxMessage)


_heartbeat = Heartbeat("claim", _renew, lambda: conf.MAIL_LEASE / 3)


@contextlib.contextmanager
def renewing(token: uuid.UUID) -> Iterator[None]:
    """Renew the lease of the claim with this token while the block runs; give it back if nobody can renew it."""
    try:
        _heartbeat.add(token)
    except BaseException:
        OutboxMessage.objects.give_back(token)
        raise
    try:
        yield
    finally:
        _heartbeat.discard(token)
