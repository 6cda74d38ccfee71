"""Give a request by HTTP one deadline: for its connection, for all that is written and for all that is read.

The timeout of every library is for each read by itself: a server that sends a byte now and then would keep a thread
for ever.
"""

import contextlib
import io
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

CHUNK = 64 * 1024  # bytes that are written at a time
LONGEST_ANSWER = 1024 * 1024  # bytes of a body, unpacked; what anybody reads of it is in the first few thousand
ROOM = 8 * LONGEST_ANSWER  # bytes that are read of one answer, with its headers

_request = threading.local()  # `until`, on the monotonic clock, while this thread has one


class RequestWasCutShort(TimeoutError):
    """The time was over before the server had the whole request: it can have obeyed nothing."""


class AnswerHasNoEnd(OSError):
    pass


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let the requests of this thread come to an end in so many seconds, over connections of keep_time()."""
    _request.until, _request.room = time.monotonic() + seconds, ROOM
    try:
        yield
    finally:
        del _request.until, _request.room


def read_beginning(response: Any, **options: Any) -> None:
    """Read as much of an answer of requests' as it may have; its status counts also where the rest has no end."""
    pieces, room = [], LONGEST_ANSWER
    for piece in response.iter_content(CHUNK):
        pieces.append(piece[:room])
        room -= len(piece)
        if room <= 0:
            response.close()
            break
    response._content, response._content_consumed = b"".join(pieces), True


def keep_time(pools: Any) -> None:
    """Let each connection that this PoolManager of urllib3 makes keep to the deadline."""
    pools.pool_classes_by_scheme = timed(pools.pool_classes_by_scheme)


def timed(pool_classes: dict[str, type]) -> dict[str, type]:
    return {scheme: _timed_pool(each) for scheme, each in pool_classes.items()}


@cache
def _timed_pool(pool: Any) -> type:
    if issubclass(pool.ConnectionCls, _Timed):
        return pool  # type: ignore[no-any-return]
    return type(pool.__name__, (pool,), {"ConnectionCls": _timed_connection(pool.ConnectionCls)})


@cache
def _timed_connection(connection: Any) -> type:
    def connect(self: Any) -> None:
        if (left := _time_left()) is not None:
            self.timeout = max(left, 0.001)  # 0 would mean not to wait at all
        connection.connect(self)
        self.sock = _TimedSocket(self.sock)

    return type(connection.__name__, (_Timed, connection), {"connect": connect})


class _Timed:
    """What such connections can be known by."""


def _time_left() -> float | None:
    until = getattr(_request, "until", None)
    return None if until is None else until - time.monotonic()


def _make_room(count: int) -> None:
    if not hasattr(_request, "room"):
        return
    _request.room -= count
    if _request.room < 0:
        raise AnswerHasNoEnd(f"the answer has more than {ROOM:,} bytes")


class _TimedSocket:
    """A socket that waits for no longer than until the deadline, however often it is asked."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def sendall(self, data: Any) -> None:
        rest = memoryview(data).cast("B")
        try:
            while rest:
                self.hurry()
                self._sock.sendall(rest[:CHUNK])
                rest = rest[CHUNK:]
        except TimeoutError as error:
            raise RequestWasCutShort(str(error)) from error

    def makefile(self, mode: str = "r", buffering: int = -1) -> io.RawIOBase | io.BufferedReader:
        raw = _TimedReader(self)
        return raw if buffering == 0 else io.BufferedReader(raw)

    def hurry(self) -> None:
        """Wait for no longer than until the deadline, or raise TimeoutError if it is over."""
        left = _time_left()
        if left is None:
            return
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: _TimedSocket) -> None:
        self._sock = sock
        self._file = sock._sock.makefile("rb", buffering=0)  # it keeps the socket open as long as it is needed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.hurry()
        count = self._file.readinto(buffer)
        _make_room(count or 0)
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
