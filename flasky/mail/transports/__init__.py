"""The real e-mail backend behind the outbox: opened, lent to one thread at a time, and kept for the next."""

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend

from flasky.mail.compat import new_backend
from flasky.mail.limits import connections
from flasky.mail.limits.connections import NoSeat
from flasky.mail.runtime.heartbeat import Keeper
from flasky.mail.transports.base import KEEP_SEAT, Server, Transport
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.own_smtp import OwnSmtpTransport, sends_as_django_does
from flasky.mail.transports.smtp import SmtpTransport

__all__ = [
    "NoSeat",
    "Server",
    "SmtpTransport",
    "Transport",
    "TransportUnavailable",
    "abort_lent",
    "borrow",
    "close_kept",
    "new_transport",
]


def new_transport() -> Transport:
    return _transport(new_backend())


def _transport(backend: Any) -> Transport:
    if sends_as_django_does(backend):
        return SmtpTransport(backend)
    return OwnSmtpTransport(backend) if isinstance(backend, SmtpEmailBackend) else Transport(backend)


_kept: list[Transport] = []
_lent: set[Transport] = set()
_keeping = threading.Lock()


@contextlib.contextmanager
def borrow(limited: bool = True) -> Iterator[Transport]:
    """Lend an open transport, one that was kept if there is one. Raise TransportUnavailable.

    Raise NoSeat if MAIL_MAX_CONNECTIONS are open and this one is to be among them.
    """
    transport = _take_kept() or new_transport()
    try:
        if limited and not transport.seat:
            _seat(transport)
        transport.open()
        transport = _with_its_own_connection(transport)
        with _keeping:
            _lent.add(transport)
        yield transport
    except BaseException:
        _end(transport)
        raise
    else:
        if transport.must_leave:
            _end(transport)
        else:
            with _keeping:
                _kept.append(transport)
    finally:
        with _keeping:
            _lent.discard(transport)


def _with_its_own_connection(transport: Transport) -> Transport:
    """Return the transport, or another one if its backend has opened a connection that sends in a way of its own."""
    if isinstance(transport, SmtpTransport) and not sends_as_django_does(transport.backend):
        seat, transport = transport.seat, _transport(transport.backend)
        transport.seat = seat
    return transport


def _seat(transport: Transport) -> None:
    """Take a seat for the connection that will be opened."""
    transport.seat = connections.take(transport.server.name)
    if transport.seat:
        _seat_keeper.hold(transport.seat.token)


def _end(transport: Transport) -> None:
    transport.close()
    if transport.seat:
        _seat_keeper.let_go(transport.seat.token)
        connections.leave(transport.seat)


def abort_lent() -> None:
    """Cut the connections that are in use; what was not handed over yet is released by whoever used them."""
    with _keeping:
        in_use = list(_lent)
    for transport in in_use:
        transport.abort()


def _take_kept() -> Transport | None:
    while True:
        with _keeping:
            transport = _kept.pop() if _kept else None
        if transport is None or not (transport.is_worn() or transport.must_leave):
            return transport
        _end(transport)


def close_kept(idle_only: bool = False) -> None:
    """Close the connections that nobody uses, or only those that were idle for too long."""
    with _keeping:
        closing = [transport for transport in _kept if not idle_only or transport.is_worn()]
        _kept[:] = [transport for transport in _kept if transport not in closing]
    for transport in closing:
        _end(transport)


def _renew_seats(tokens: set[UUID]) -> None:
    close_kept(idle_only=True)
    connections.renew(tokens)


_seat_keeper = Keeper("seat", _renew_seats, lambda: min(settings.MAIL_LEASE / 3, KEEP_SEAT))


def _forget_the_parents_connections() -> None:
    global _keeping
    _keeping = threading.Lock()
    _kept.clear()
    _lent.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_the_parents_connections)
