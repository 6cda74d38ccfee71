"""Post names from a chosen address of this machine, with as little CPU time as possible: it is the server's."""

import re
import socket
from typing import NamedTuple
from urllib.parse import quote

# Django asks for the same text twice, in a cookie and in the form, and does not know whether it has made it.
TOKEN = "forged" + "x" * 26
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
RETRY_AFTER = re.compile(rb"\r\nretry-after: (\S+)", re.IGNORECASE)
VISITOR = re.compile(rb"\r\nset-cookie: (visitor=[^;]+)", re.IGNORECASE)


class Answer(NamedTuple):
    status: int
    retry_after: str
    cookie: str


class Client:
    def __init__(self, port, address):
        self.port, self.address = port, address
        self.connection = None

    def get(self, cookie=""):
        return self.ask(f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: csrftoken={TOKEN}; {cookie}\r\n\r\n")

    def post(self, name, cookie=""):
        body = f"name={quote(name)}&website=&csrfmiddlewaretoken={TOKEN}"
        return self.ask(
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: csrftoken={TOKEN}; {cookie}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )

    def ask(self, request):
        """Send the request on the kept connection, or on a new one if the server has closed that."""
        is_kept = self.connection is not None
        try:
            return self._ask(request.encode())
        except ConnectionError:
            self.close()
            if not is_kept:
                raise
            return self._ask(request.encode())

    def _ask(self, request):
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), 30, (self.address, 0))
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(request)
        head, _, body = self._received(b"").partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        missing = int(length[1]) - len(body) if length else 0
        while missing > 0:
            missing -= len(self._more())
        if b"\r\nconnection: close" in head.lower():
            self.close()
        retry_after, cookie = RETRY_AFTER.search(head), VISITOR.search(head)
        return Answer(
            int(head.split(None, 2)[1]),
            retry_after[1].decode() if retry_after else "",
            cookie[1].decode() if cookie else "",
        )

    def _received(self, text):
        while b"\r\n\r\n" not in text:
            text += self._more()
        return text

    def _more(self):
        more = self.connection.recv(65536)
        if not more:
            raise ConnectionResetError("the server has closed the connection")
        return more

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def found(pattern, head):
    match = pattern.search(head)
    return match[1].decode() if match else ""
