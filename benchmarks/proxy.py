"""A TCP proxy that makes a server far away: every chunk arrives later, none is held up by another."""

import asyncio
import threading
from collections import deque


def start(port, delay):
    """Pass connections on to 127.0.0.1:`port`; each chunk takes `delay` s, in both directions."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: Near(loop, port, delay), "127.0.0.1", 0, backlog=512))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return {"port": server.sockets[0].getsockname()[1]}


spoken = 0  # times that a client has said something to which it awaits an answer


def turns():
    return {"turns": spoken}


class Side(asyncio.Protocol):
    """One end of a connection; `other` is where its data goes."""

    def __init__(self, loop, delay):
        self.loop, self.delay = loop, delay
        self.other, self.transport = None, None
        self.has_been_heard = False  # since the other side spoke last
        self.on_the_way = deque()  # in order, whatever order the timers fire in

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.on_the_way.append(data)
        self.loop.call_later(self.delay, self.arrive)

    def connection_lost(self, error):
        self.on_the_way.append(None)
        self.loop.call_later(self.delay, self.arrive)

    def arrive(self):
        data = self.on_the_way.popleft()
        if self.other is None or self.other.transport is None:
            return
        if data is None:
            self.other.transport.close()
        else:
            self.other.transport.write(data)
            self.has_been_heard = True


class Near(Side):
    def __init__(self, loop, port, delay):
        super().__init__(loop, delay)
        self.port = port

    def connection_made(self, transport):
        super().connection_made(transport)
        # The kernel has shaken hands at once; over this distance it would have taken three journeys.
        self.loop.call_later(3 * self.delay, lambda: self.loop.create_task(self.connect()))

    def data_received(self, data):
        """Count a round trip for what the client says first after it has heard something."""
        global spoken
        spoken += self.other is None or self.other.has_been_heard
        if self.other:
            self.other.has_been_heard = False
        super().data_received(data)

    async def connect(self):
        self.other = Side(self.loop, self.delay)
        self.other.other = self
        await self.loop.create_connection(lambda: self.other, "127.0.0.1", self.port)
