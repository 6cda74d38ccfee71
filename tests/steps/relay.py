"""A relay in a process of its own, which outlives those that are killed and remembers whose mail it has taken."""

import hashlib
import multiprocessing
import re
import socket
import socketserver
import threading
from contextlib import suppress

REFUSED, POSTPONED = "550 5.1.1 No such user", "451 4.2.1 Try again later"
PATIENCE = 30  # s for what has left a process that is dead to be read


class Relay:
    """Started by fork, so before this process has any thread. `groups`: whether it takes several commands at once.

    It refuses whoever is called `refused` and puts off whoever is called `later`, the first time it is asked.
    """

    def __init__(self, groups=True):
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs, groups), daemon=True)
        self._process.start()
        theirs.close()
        self.port = self._pipe.recv()

    def forget(self):
        self._pipe.send("forget")
        self._pipe.recv()

    def taken(self):
        """Return (Message-ID, recipient, digest of the content) of all that was taken, once nobody talks any more."""
        self._pipe.send("taken")
        return self._pipe.recv()

    def close(self):
        self._pipe.send("")
        self._process.join()


def _serve(pipe, groups):
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.greeting = "250-relay.test\r\n250 PIPELINING" if groups else "250 relay.test"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        pipe.send(server.server_address[1])
        with suppress(EOFError):
            while question := pipe.recv():
                _wait_for_silence(server)
                if question == "forget":
                    server.taken, server.asked = [], set()
                pipe.send(server.taken)


def _wait_for_silence(server):
    with socket.create_connection(server.server_address) as last, last.makefile("rb") as replies:
        replies.readline()  # so whoever had connected before is counted
    with server.lock:
        server.lock.wait_for(lambda: not server.open, PATIENCE)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 100

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.taken, self.asked, self.open, self.lock = [], set(), 0, threading.Condition()

    def process_request(self, request, address):
        with self.lock:
            self.open += 1
        super().process_request(request, address)

    def shutdown_request(self, request):
        super().shutdown_request(request)
        with self.lock:
            self.open -= 1
            self.lock.notify_all()

    def handle_error(self, request, address):
        pass  # whoever was killed has hung up


class _Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        self.recipients = []
        with suppress(OSError):
            self.say("220 relay.test")
            while line := self.rfile.readline():
                verb = line[:4].decode("latin-1").upper()
                self.say(self.reply_to(verb, line.decode("latin-1")))
                if verb == "DATA" and self.recipients and not self.take():
                    return
                if verb == "QUIT":
                    return

    def reply_to(self, verb, line):
        if verb in ("EHLO", "HELO"):
            return self.server.greeting
        if verb in ("MAIL", "RSET"):
            self.recipients = []
        if verb == "RCPT":
            return self.reply_about(re.search("<(.*)>", line)[1])
        if verb == "DATA":
            return "354 Go on" if self.recipients else "503 5.5.1 For whom?"
        return "221 Bye" if verb == "QUIT" else "250 Ok"

    def reply_about(self, address):
        name = address.partition("@")[0]
        with self.server.lock:
            is_new = address not in self.server.asked
            self.server.asked.add(address)
        if name == "refused":
            return REFUSED
        if name == "later" and is_new:
            return POSTPONED
        self.recipients.append(address)
        return "250 Ok"

    def take(self):
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line)
        content = b"".join(lines)
        message_id = re.search(rb"^Message-ID: *(\S+)", content, re.IGNORECASE | re.MULTILINE)[1].decode()
        digest = hashlib.sha256(content).hexdigest()
        with self.server.lock:
            self.server.taken += [(message_id, address, digest) for address in self.recipients]
        self.recipients = []
        self.say("250 2.0.0 Taken")
        return True

    def say(self, reply):
        self.wfile.write(reply.encode() + b"\r\n")
