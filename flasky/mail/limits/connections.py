"""Open no more connections to a relay than MAIL_MAX_CONNECTIONS, all processes together.

Each connection has a seat: a row with a lease by the database's clock. The seats of a process that died come free when
their leases have run out.
"""

import contextlib
import logging
import os
import socket
import uuid

from django.conf import settings
from django.db import Error as DatabaseFailure

from flasky.mail.models import Relay, Seat

logger = logging.getLogger(__name__)


class NoSeat(Exception):
    """As many connections to the relay are open as may be."""


class TakenSeat:
    def __init__(self, server: str, token: uuid.UUID) -> None:
        self.server, self.token = server, token
        self.has_delivered = False  # since the last renewal
        self.must_leave = False  # somebody else has it by now, or there are to be fewer


_taken: dict[uuid.UUID, TakenSeat] = {}


def take(server: str) -> TakenSeat | None:
    """Take a seat, which its holder must renew; return None if there is no limit. Raise NoSeat."""
    limit = settings.MAIL_MAX_CONNECTIONS
    if not limit:
        return None
    seat = TakenSeat(server, uuid.uuid4())
    if not Seat.objects.take(server, Relay.objects.connections(server, limit), seat.token, _this_process()):
        raise NoSeat
    _taken[seat.token] = seat
    return seat


def leave(seat: TakenSeat) -> None:
    _taken.pop(seat.token, None)
    with contextlib.suppress(DatabaseFailure):  # it comes free with the end of its lease
        Seat.objects.leave(seat.token)


def renew(tokens: set[uuid.UUID]) -> None:
    """Prolong the leases, tell those who must leave, and allow one connection more if all has gone well for a while."""
    limit = settings.MAIL_MAX_CONNECTIONS
    Seat.objects.renew(tokens)
    numbers = Seat.objects.numbers(tokens)
    seats = [seat for token in tokens if (seat := _taken.get(token))]
    for server in {seat.server for seat in seats}:
        ours = [seat for seat in seats if seat.server == server]
        if any(seat.has_delivered for seat in ours):
            Relay.objects.allow_one_more(server, limit)
        allowed = Relay.objects.connections(server, limit)
        for seat in ours:
            seat.has_delivered = False
            seat.must_leave = numbers.get(seat.token, allowed) >= allowed


def allow_fewer(server: str, reason: str) -> bool:
    """Halve the connections that may be open; return False if there is no limit, or only one was allowed already."""
    limit = settings.MAIL_MAX_CONNECTIONS
    if not limit:
        return False
    before, after = Relay.objects.allow_fewer(server, limit, Seat.objects.in_use(server))
    if after < before:
        logger.warning("%s At most %d connections from now on, instead of %d.", reason, after, before)
    return before > 1


def _this_process() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_taken.clear)
