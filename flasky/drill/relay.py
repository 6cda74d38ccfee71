"""Serve SMTP (RFC 5321) on loopback as a small relay that counts what it accepts and fails on the way as told."""

import random
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.parser import BytesHeaderParser
from enum import Enum


class Fault(Enum):
    REFUSE = "451 4.3.0 Not now"
    CLOSE = "421 4.3.2 Closing"
    DROP = "drop the connection"
    DELAY = "answer late"


ANY = tuple(Fault)
FAULTS_AT = {  # where which faults are possible; a verb stands for the moment before its reply
    **dict.fromkeys(("EHLO", "MAIL", "RCPT", "DATA", "RSET"), ANY),
    "CONTENT": (Fault.DROP, Fault.DELAY),  # in the middle of it
    "DOT": ANY,  # all content has come, nothing is accepted
    "ACCEPTED": (Fault.DROP, Fault.DELAY),  # before the sender is told
    "REPLIED": (Fault.DROP,),
}
RATE = 0.03  # of all points
DELAYS = (0.05, 0.5, 3)  # s; the last is longer than a lease of the drill
GREETINGS = ("250-relay.drill\r\n250 8BITMIME", "250-relay.drill\r\n250-PIPELINING\r\n250 8BITMIME")
REPLIES = {
    "MAIL": "250 2.1.0 Sender ok",
    "RCPT": "250 2.1.5 Recipient ok",
    "RSET": "250 2.0.0 Forgotten",
    "NOOP": "250 2.0.0 Nothing done",
    "QUIT": "221 2.0.0 Bye",
}


def random_faults(seed: int) -> Callable[[str], Fault | None]:
    dice = random.Random(seed)
    return lambda point: dice.choice(FAULTS_AT.get(point, ANY)) if dice.random() < RATE else None


def hang_up_after_each_mail(point: str) -> Fault | None:
    """Take every mail, and never say so."""
    return Fault.DROP if point == "ACCEPTED" else None


class FaultyRelay(socketserver.ThreadingTCPServer):
    """Accept mail on a free port; `fault_at(point)` says what goes wrong there, if anything."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, fault_at: Callable[[str], Fault | None]) -> None:
        super().__init__(("127.0.0.1", 0), Dialogue)
        self.fault_at = fault_at
        self.accepted: Counter[str] = Counter()  # by Message-ID
        self.unanswered = 0  # accepted, but the connection was dropped before the sender could know
        self.lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def accept(self, message_id: str) -> None:
        with self.lock:
            self.accepted[message_id] += 1


@contextmanager
def running(relay: FaultyRelay) -> Iterator[FaultyRelay]:
    with relay:
        threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield relay
        finally:
            relay.shutdown()


class HangUp(Exception):
    """The connection ends here."""


class Dialogue(socketserver.StreamRequestHandler):
    server: FaultyRelay

    def handle(self) -> None:
        self.has_sender = self.has_recipient = False
        with suppress(OSError, HangUp):  # OSError: the sender is gone
            self.reply("220 relay.drill")
            for line in self.rfile:
                verb = line[:4].decode("latin-1").strip().upper()
                if self.refuses(verb):
                    continue
                if verb == "EHLO":
                    self.reply(GREETINGS[self.client_address[1] % 2])  # half of the sessions may send in groups
                elif self.comes_too_early(verb):
                    self.reply("503 5.5.1 Who writes to whom?")
                elif verb == "DATA":
                    self.take_content()
                else:
                    self.reply(REPLIES.get(verb, "502 5.5.1 Not known here"))
                if verb == "QUIT":
                    return

    def comes_too_early(self, verb: str) -> bool:
        """Tell whether something must come before this command; follow the transaction if not."""
        if (verb == "RCPT" and not self.has_sender) or (verb == "DATA" and not self.has_recipient):
            return True
        self.has_sender = verb in ("MAIL", "RCPT")
        self.has_recipient = verb == "RCPT"
        return False

    def take_content(self) -> None:
        self.reply("354 Go on")
        content = self.read_content()
        if self.refuses("DOT"):
            return
        self.server.accept(BytesHeaderParser().parsebytes(content)["Message-ID"])
        try:
            self.refuses("ACCEPTED")
        except HangUp:
            with self.server.lock:
                self.server.unanswered += 1
            raise
        self.reply("250 2.0.0 Accepted")
        self.refuses("REPLIED")

    def read_content(self) -> bytes:
        lines: list[bytes] = []
        for line in self.rfile:
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line)
            if len(lines) == 3:
                self.refuses("CONTENT")
        raise HangUp

    def refuses(self, point: str) -> bool:
        """Meet the fault at this point, if there is one; return whether it was a refusal."""
        fault = self.server.fault_at(point)
        if fault == Fault.DELAY:
            time.sleep(random.choice(DELAYS))
        elif fault == Fault.DROP:
            raise HangUp
        elif fault is not None:
            self.reply(fault.value)
            if fault == Fault.CLOSE:
                raise HangUp
        return fault == Fault.REFUSE

    def reply(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
