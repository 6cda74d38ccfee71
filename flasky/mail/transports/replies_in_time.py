"""Give each reply of an SMTP server one deadline, and only so much room.

smtplib's timeout is for each piece that is read, and it keeps every line: a server that sends a byte now and then would
keep a thread for ever, and one whose reply never ends would take all memory.
"""

import io
import smtplib
import time
from functools import cache
from typing import Any

LONGEST_REPLY = 64 * 1024  # bytes; a line has 512 at most (RFC 5321, section 4.5.3.1.5), and there is one an extension
TOO_LONG = "the reply does not end"


@cache
def in_time(kind: Any) -> Any:
    """Return the class of connections whose replies, from the greeting on, have a deadline."""
    return kind if issubclass(kind, RepliesInTime) else type(kind.__name__, (RepliesInTime, kind), {})


def keep_time(smtp: Any) -> None:
    """Let the replies on a connection have one that somebody else has opened, if it is one of smtplib's."""
    kind: Any = type(smtp)
    if isinstance(smtp, smtplib.SMTP) and kind.getreply is smtplib.SMTP.getreply:
        smtp.__class__ = in_time(kind)


class RepliesInTime(smtplib.SMTP):
    def getreply(self) -> tuple[int, bytes]:
        """Read a reply as smtplib does, within the socket's timeout in all. Raise SMTPServerDisconnected."""
        sock: Any = self.sock
        timeout, reader = sock.gettimeout(), getattr(self.file, "raw", None)
        if type(reader) is not _Reader:
            reader = _Reader(sock)
            self.file = io.BufferedReader(reader)
        reader.until = None if timeout is None else time.monotonic() + timeout
        reader.room = LONGEST_REPLY
        try:
            return super().getreply()
        finally:
            if self.sock is not None:
                self.sock.settimeout(timeout)


class _Reader(io.RawIOBase):
    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._file = sock.makefile("rb", buffering=0)  # it keeps the socket open as long as it is needed
        self.until: float | None = None  # on the monotonic clock
        self.room = LONGEST_REPLY

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.room <= 0:
            raise OSError(TOO_LONG)
        if self.until is not None:
            left = self.until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        count = self._file.readinto(buffer)
        self.room -= count or 0
        return count  # type: ignore[no-any-return]

    def close(self) -> None:
        self._file.close()
        super().close()
