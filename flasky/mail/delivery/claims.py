"""Keep the leases of what this process holds right now, however long the relay takes."""

import contextlib
import uuid
from collections.abc import Iterator

from django.conf import settings

from flasky.mail.models import OutboxMessage
from flasky.mail.runtime.heartbeat import Keeper

_claims = Keeper("claim", lambda tokens: OutboxMessage.objects.renew(tokens), lambda: settings.MAIL_LEASE / 3)


@contextlib.contextmanager
def kept(token: uuid.UUID) -> Iterator[None]:
    """Renew the lease of the claim with this token while the block runs; give it back if nobody can renew it."""
    try:
        _claims.hold(token)
    except BaseException:
        OutboxMessage.objects.release(token)
        raise
    try:
        yield
    finally:
        _claims.let_go(token)
