"""An SMTP server that misbehaves as told, below the level of replies: silence, a dropped connection, a full buffer."""

import contextlib
import re
import socket
import socketserver
import threading
import time

MOST_PIECES = 1000  # after which even a relay that has no end hangs up: who waits for it must not hang a test
COMMANDS = {"connect": "220 relay.test ESMTP", "HELO": "250 relay.test", "DATA": "354 Go on", "QUIT": "221 Bye"}


class ScriptedRelay:
    """Accept mail on a free port of the host; `accepted` are the Message-IDs for which it took responsibility.

    `script` maps a moment to what happens when it comes. The moments are "connect", the verbs and CONTENT, the end of
    the message; "reading" is the moment before the message's bytes are read, "idle" the one after an acceptance. A list
    is used up one by one. What can happen: a reply (a text; None for the usual one), or one of the words

        silence           say nothing, but go on listening until the other side hangs up
        drop              hang up without a word
        deaf              stop reading, so that the other side cannot get rid of its bytes
        sip               read a little now and then
        drip              say a byte now and then, and never the end of a line
        flood             say one line of the reply after the other, without an end
        one line          say a line without an end
        take and drop     at the end of the message: accept it, hang up before saying so
        "… | drop"        say this, then hang up

    With `one_by_one` it refuses, as Haraka does, each command that has come before the reply to the text before it.
    """

    def __init__(self, pipelining=False, host="127.0.0.1", one_by_one=False, **script):
        self.one_by_one = one_by_one
        self.refused_out_of_turn = 0
        self.greeting = "250-relay.test\r\n250 PIPELINING" if pipelining else "250 relay.test"
        self.script = script
        self.accepted = []
        self.accepted_at = []  # on the monotonic clock
        self.contents = []  # of what was accepted, as it came, with doubled dots
        self.heard = []  # command lines
        self.sessions = self.open = self.most_open = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server((host, 0), _Session)
        self._server.relay = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))  # s between looks for the end

    @property
    def port(self):
        return self._server.server_address[1]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def behave(self):
        self.script = {}

    def next(self, moment):
        said = self.script.get(moment)
        if callable(said):
            return said()
        with self._lock:
            return (said.pop(0) if said else None) if isinstance(said, list) else said

    def accept(self, content):
        found = re.search(rb"^Message-ID: *(\S+)", content, re.IGNORECASE | re.MULTILINE)
        with self._lock:
            self.accepted.append(found[1].decode() if found else "")
            self.accepted_at.append(time.monotonic())
            self.contents.append(content)

    def wait_for_the_end(self):
        self._closing.wait(60)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self):
        # A small window, so that a few megabytes are more than the two sides can buffer.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        super().server_bind()


def _sip(connection, ending):
    for _ in range(MOST_PIECES):
        if ending.wait(0.05) or not connection.recv(1000):
            return


def _drip(connection, ending):
    for _ in range(MOST_PIECES):
        connection.sendall(b"2")
        if ending.wait(0.05):
            return


def _flood(connection, ending, piece=b"250-and more\r\n" * 1000):
    for _ in range(MOST_PIECES):
        connection.sendall(piece)
        if ending.is_set():
            return


def _one_line(connection, ending):
    _flood(connection, ending, b"2" * 10_000)


PESTER = {"sip": _sip, "drip": _drip, "flood": _flood, "one line": _one_line}


class _HangUp(Exception):
    pass


class _Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        self.relay = self.server.relay
        with self.relay._lock:
            self.relay.sessions += 1
            self.relay.open += 1
            self.relay.most_open = max(self.relay.open, self.relay.most_open)
        self.is_open = True
        try:
            self.talk()
        finally:
            self.count_out()

    def count_out(self):
        with self.relay._lock:
            self.relay.open -= self.is_open
            self.is_open = False

    def talk(self):
        self.has_sender = self.is_for_somebody = False
        with contextlib.suppress(_HangUp, OSError):
            self.answer("connect", COMMANDS["connect"])
            while line := self.rfile.readline():
                self.relay.heard.append(line.decode().rstrip())
                verb = line.split()[0].decode("ascii", "replace").upper() if line.split() else ""
                if verb == "QUIT":
                    self.count_out()  # before the answer: whoever has that may connect anew
                if verb == "DATA":
                    self.take_content()
                else:
                    self.follow(verb, self.answer(verb, self.usual_reply_to(verb)))
                if verb == "QUIT":
                    return

    def usual_reply_to(self, verb):
        if verb == "RCPT" and not self.has_sender:
            return "503 5.5.1 From whom?"
        return self.relay.greeting if verb == "EHLO" else COMMANDS.get(verb, "250 Ok")

    def follow(self, verb, reply):
        if verb == "MAIL":
            self.has_sender, self.is_for_somebody = reply.startswith("250"), False
        elif verb == "RCPT":
            self.is_for_somebody |= reply.startswith("250")
        elif verb == "RSET":
            self.has_sender = self.is_for_somebody = False

    def take_content(self):
        usual = COMMANDS["DATA"] if self.is_for_somebody else "503 5.5.1 For whom?"
        if not self.answer("DATA", usual).startswith("354"):
            return
        self.answer("reading", "")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line)
        usual = "250 2.0.0 Queued"
        behaviour = self.relay.next("CONTENT") or (usual if self.is_for_somebody else "554 5.5.1 For whom?")
        self.has_sender = self.is_for_somebody = False
        if behaviour == "take and drop" or behaviour.startswith("2"):
            self.relay.accept(b"".join(lines))
        came_early = self.take_what_came_early() if self.relay.one_by_one else 0
        self.do("drop" if behaviour == "take and drop" else behaviour)
        self.relay.refused_out_of_turn += came_early
        self.wfile.write(b"503 Bad sequence of commands - pipelined after end of DATA\r\n" * came_early)
        if behaviour.startswith("2"):
            self.answer("idle", "")

    def take_what_came_early(self):
        """Throw away what was sent already, and return how many commands it was."""
        self.connection.setblocking(False)
        came = self.rfile.peek()
        self.connection.setblocking(True)
        return self.rfile.read(len(came)).count(b"\r\n")

    def answer(self, moment, usual):
        """Do what the script says, or reply as usual; return the reply."""
        return self.do(self.relay.next(moment) or usual)

    def do(self, behaviour):
        if behaviour == "silence":
            while self.rfile.readline():
                pass
            raise _HangUp
        if behaviour == "deaf":
            self.relay.wait_for_the_end()
            raise _HangUp
        if behaviour in PESTER:
            PESTER[behaviour](self.connection, self.relay._closing)
            raise _HangUp
        if behaviour == "drop":
            raise _HangUp
        reply, _, then = behaviour.partition(" | ")
        if reply:
            self.wfile.write(reply.encode() + b"\r\n")
        if then == "drop":
            raise _HangUp
        return reply
