"""Be polite: open no more connections to a relay than MAIL_MAX_CONNECTIONS. Without this, each thread opens its own.

Each connection has a slot: a row with a lease by the database's clock. The slots of a process that died come free when
their leases have run out.
"""

import contextlib
import logging
import uuid

from django.db import Error as DatabaseFailure

from flasky.mail.conf import conf
from flasky.mail.models import ConnectionSlot, Relay
from flasky.mail.runtime.identity import this_process

logger = logging.getLogger(__name__)


class NoSlot(Exception):
    """As many connections to the relay are open as may be."""


class TakenSlot:
    """A slot that is taken. Whoever opens the connection holds it, renews it and leaves it; nobody here does."""

    def __init__(self, server: str) -> None:
        self.server, self.token = server, uuid.uuid4()
        self.has_delivered = False  # since the last renewal
        self.must_leave = False  # somebody else has it by now, or there are to be fewer


def take(server: str) -> TakenSlot | None:
    """Take a slot, which its holder must renew; return None if there is no limit. Raise NoSlot."""
    limit = conf.MAIL_MAX_CONNECTIONS
    if not limit:
        return None
    slot = TakenSlot(server)
    if not ConnectionSlot.objects.take(server, Relay.objects.connections(server, limit), slot.token, this_process()):
        raise NoSlot
    return slot


def leave(slot: TakenSlot) -> None:
    with contextlib.suppress(DatabaseFailure):  # it comes free with the end of its lease
        ConnectionSlot.objects.leave(slot.token)


def renew(slots: set[TakenSlot]) -> None:
    """Prolong the leases, tell those who must leave, and allow one connection more if all has gone well for a while."""
    limit, tokens = conf.MAIL_MAX_CONNECTIONS, {slot.token for slot in slots}
    ConnectionSlot.objects.renew(tokens)
    numbers = ConnectionSlot.objects.numbers(tokens)
    for server in {slot.server for slot in slots}:
        ours = [slot for slot in slots if slot.server == server]
        if any(slot.has_delivered for slot in ours):
            Relay.objects.allow_one_more(server, limit)
        allowed = Relay.objects.connections(server, limit)
        for slot in ours:
            slot.has_delivered = False
            slot.must_leave = numbers.get(slot.token, allowed) >= allowed


def allow_fewer(server: str, reason: str) -> bool:
    """Halve the connections that may be open; return False if there is no limit, or only one was allowed already."""
    limit = conf.MAIL_MAX_CONNECTIONS
    if not limit:
        return False
    before, after = Relay.objects.allow_fewer(server, limit, ConnectionSlot.objects.in_use(server))
    if after < before:
        logger.warning("%s At most %d connections from now on, instead of %d.", reason, after, before)
    return before > 1
