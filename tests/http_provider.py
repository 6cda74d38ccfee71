"""A provider's API on loopback that answers, hangs up or is silent, as a test tells it to."""

import contextlib
import json
import socket
import threading
from dataclasses import dataclass

SILENCE, HANG_UP = "silence", "hang up"
DRIP = "drip"  # one byte of an answer now and then, without end
DEAF = "deaf"  # nothing is read of the request's body
TLS_HANDSHAKE = b"\x16"


def answer(status, body="", **headers):
    """Return an HTTP response; a body that is no text is written as JSON."""
    kind, body = ("text/html", body) if isinstance(body, str) else ("application/json", json.dumps(body))
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body.encode())}", f"Content-Type: {kind}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


@dataclass
class Endless:
    """An answer whose rest comes again and again."""

    beginning: bytes
    rest: bytes


class HttpProvider:
    """Give the `answers` one by one, then the last one again: bytes as they are, or one of the words above.

    A function among them is asked with the header and the body of the request.
    """

    def __init__(self, *answers, tls_context=None):
        self.tls_context = tls_context
        self.connections = 0
        self.answers = list(answers)
        self.requests = []  # header and body of each
        self._leaving = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *error):
        self._leaving.set()
        for each in (self._listener, *self._connections):  # a client keeps some
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(60)

    @property
    def url(self):
        port = self._listener.getsockname()[1]
        return f"https://localhost:{port}/" if self.tls_context else f"http://127.0.0.1:{port}/"

    def bodies(self):
        return [json.loads(body) for _, body in self.requests]

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection):
        self.connections += 1
        connection.settimeout(20)
        with contextlib.suppress(OSError), connection, self._encrypted(connection) as connection:
            while request := self._request(connection):
                self.requests.append(request)
                said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if callable(said):
                    said = said(*request)
                if said == SILENCE:
                    self._leaving.wait(60)
                if said == DRIP:
                    self._drip(connection)
                if isinstance(said, Endless):
                    self._go_on(connection, said)
                if not isinstance(said, bytes):
                    return
                connection.sendall(said)
                if b"Content-Length" not in said or b"close" in said:
                    return

    def _encrypted(self, connection):
        if not self.tls_context:
            return contextlib.nullcontext(connection)
        encrypted = self.tls_context.wrap_socket(connection, server_side=True)
        self._connections.append(encrypted)
        return encrypted

    def _drip(self, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-Slow: ")
        while not self._leaving.wait(0.1):
            connection.sendall(b"x")

    def _go_on(self, connection, said):
        connection.sendall(said.beginning)
        while not self._leaving.is_set():
            connection.sendall(said.rest)

    def _request(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            if self._leaving.is_set() or not (piece := connection.recv(65536)):
                return None
            data += piece
            if data.startswith(TLS_HANDSHAKE):
                connection.sendall(b"This is no TLS at all")
                return None
        head, _, body = data.partition(b"\r\n\r\n")
        header = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        }
        if header.get("expect") == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.answers[0] == DEAF:
            self._leaving.wait(60)
            return None
        while len(body) < int(header.get("content-length", 0)):
            body += connection.recv(65536)
        return header, body.decode()
