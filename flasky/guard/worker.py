"""Let a thread of gunicorn meet whole requests only, so that clients who send slowly, or never end, hold none.

gunicorn's own gthread gives a connection to a thread at its first byte, and its main thread waits for each client to
close. Here the main thread reads, without ever waiting, and refuses what is too large before its body comes.
"""

import contextlib
import socket
import time
from collections import deque
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from django.conf import settings
from gunicorn import http
from gunicorn.workers.gthread import TConn, ThreadWorker

from flasky.guard.bodies import Head, head_of, text_of
from flasky.guard.headers import ALWAYS

AT_ONCE = 65_536  # bytes
LINGER = 2  # s in which a client may read the answer and close; and that a stopping worker gives to half a request


class Connection(TConn):  # type: ignore[misc]
    def __init__(self, worker: "PatientWorker", *of_socket: Any) -> None:
        super().__init__(worker.cfg, *of_socket)
        self.worker = worker
        self.received = bytearray()
        self.head: Head | None = None

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.worker.linger(self.sock)
        else:
            super().close()


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lingering: deque[tuple[float, socket.socket]] = deque()

    def accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):  # another process was quicker
            client, address = listener.accept()
            self.nr_conns += 1
            self.enqueue_req(Connection(self, client, address, listener.getsockname()))

    def enqueue_req(self, conn: Connection) -> None:
        """Wait for the next request of the connection, and then give it to a thread."""
        conn.sock.setblocking(False)
        conn.head = None
        # A client may have sent more than one request at once.
        conn.received = bytearray(conn.parser.unreader.take_buffered() if conn.parser else b"")
        conn.timeout = time.monotonic() + settings.REQUEST_TIMEOUT
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))
        if conn.received:
            self._go_on(conn)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        data = received_from(client)
        if data == b"":
            self._end(conn)
        elif data:
            conn.received += data
            self._go_on(conn)

    def _go_on(self, conn: Connection) -> None:
        """Refuse the request, or give it to a thread, as soon as enough of it is here."""
        if conn.head is None:
            conn.head = head_of(conn.received)
            if conn.head and conn.head.waits and not conn.head.refusal and len(conn.received) < conn.head.size:
                conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if conn.head is None:
            return
        if conn.head.refusal:
            with contextlib.suppress(OSError):
                conn.sock.send(answer(conn.head.refusal))
            self._end(conn, graceful=True)
        elif len(conn.received) >= conn.head.size:
            self._stop_waiting(conn)
            conn.parser = conn.parser or http.get_parser(conn.cfg, conn.sock, conn.client)
            conn.parser.unreader.unread(bytes(conn.received))
            conn.data_ready = True
            super().enqueue_req(conn)

    def _end(self, conn: Connection, graceful: bool = False) -> None:
        self._stop_waiting(conn)
        self.nr_conns -= 1
        conn.close(graceful)

    def _stop_waiting(self, conn: Connection) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)

    def murder_pending(self) -> None:
        """Close, every second or oftener, what has taken too long."""
        now = time.monotonic()
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, now + LINGER)
        super().murder_pending()
        while self.lingering and self.lingering[0][0] < now:
            self._let_go(self.lingering[0][1])

    def linger(self, client: socket.socket) -> None:
        """Close once the client has: whoever still sends would lose the answer otherwise."""
        client.setblocking(False)
        try:
            client.shutdown(socket.SHUT_WR)
        except OSError:
            client.close()
            return
        self.lingering.append((time.monotonic() + LINGER, client))
        self.poller.register(client, EVENT_READ, self._discard)

    def _discard(self, client: socket.socket) -> None:
        if received_from(client) == b"":
            self._let_go(client)

    def _let_go(self, client: socket.socket) -> None:
        self.poller.unregister(client)
        self.lingering = deque(entry for entry in self.lingering if entry[1] is not client)
        client.close()


def received_from(client: socket.socket) -> bytes | None:
    """Return what is there; None if nothing is, and no bytes if nothing will come any more."""
    try:
        return client.recv(AT_ONCE)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def answer(refusal: HTTPStatus) -> bytes:
    text = text_of(refusal)
    head = [
        f"HTTP/1.1 {refusal.value} {refusal.phrase}",
        "Content-Type: text/plain",
        f"Content-Length: {len(text)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in ALWAYS.items()),
    ]
    return "\r\n".join([*head, "", text]).encode()
