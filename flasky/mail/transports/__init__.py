"""Lend the real e-mail backend behind the outbox: opened, to one thread at a time, and kept for the next."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend

from flasky.mail.conf import conf
from flasky.mail.limits import connections
from flasky.mail.limits.connections import NoSlot, TakenSlot
from flasky.mail.runtime.forking import forget_in_child
from flasky.mail.runtime.heartbeat import Heartbeat
from flasky.mail.transports.backends import new_backend
from flasky.mail.transports.base import KEEP_SLOT, Server, Transport
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.own_smtp import OwnSmtpTransport, sends_as_django_does
from flasky.mail.transports.sentences import NO_TRANSPORT
from flasky.mail.transports.smtp import SmtpTransport

__all__ = [
    "NoSlot",
    "Server",
    "SmtpTransport",
    "Transport",
    "TransportUnavailable",
    "abort_lent",
    "borrow",
    "close_kept",
    "new_transport",
    "relay_name",
]


def new_transport(using: str = "") -> Transport:
    """Return a transport for what is behind the outbox, or for another alias in MAILERS."""
    return _transport(new_backend(using))


def relay_name() -> str:
    """Return the name of the relay that the settings lead to, as its transport calls it.

    Only the back end knows: one of somebody's own, or one with options of its own, may go elsewhere than MAIL_SERVER.
    """
    try:
        return new_transport().server.name
    except Exception:  # whoever opens it says why
        return str(conf.MAIL_TRANSPORT)


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

    Raise NoSlot if MAIL_MAX_CONNECTIONS are open and this one is to be among them.
    """
    transport = _take_kept() or _new_transport()
    try:
        if limited and not transport.slot:
            _take_slot(transport)
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


def _new_transport() -> Transport:
    """Raise TransportUnavailable if it cannot be made: a library that is not there is the fault of no message."""
    try:
        return new_transport()
    except Exception as error:
        sentence = NO_TRANSPORT
        values = {"setting": conf.source("MAIL_TRANSPORT"), "kind": type(error).__name__, "error": error}
        raise TransportUnavailable(sentence % values) from error


def _with_its_own_connection(transport: Transport) -> Transport:
    """Return the transport, or another one if its backend has opened a connection that sends in a way of its own."""
    if isinstance(transport, SmtpTransport) and not sends_as_django_does(transport.backend):
        slot, transport = transport.slot, _transport(transport.backend)
        transport.slot = slot
    return transport


def _take_slot(transport: Transport) -> None:
    """Take a slot for the connection that will be opened."""
    transport.slot = connections.take(transport.server.name)
    if transport.slot:
        _slot_heartbeat.add(transport.slot)


def _end(transport: Transport) -> None:
    transport.close()
    if transport.slot:
        _slot_heartbeat.discard(transport.slot)
        connections.leave(transport.slot)


def abort_lent() -> None:
    """Cut the connections that are in use; whoever uses them gives back what was not handed over yet."""
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


def _renew_slots(slots: set[TakenSlot]) -> None:
    close_kept(idle_only=True)
    connections.renew(slots)


_slot_heartbeat = Heartbeat("slot", _renew_slots, lambda: min(conf.MAIL_LEASE / 3, KEEP_SLOT))


@forget_in_child
def _forget_the_parents_connections() -> None:
    global _keeping
    _keeping = threading.Lock()
    _kept.clear()
    _lent.clear()
