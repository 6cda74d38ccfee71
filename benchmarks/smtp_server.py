"""A small SMTP server with pipelining, STARTTLS and login, in a process of its own: a child that relay.py starts.

smtp-sink knows no STARTTLS and does not tell when it accepted which mail.
"""

import asyncio
import base64
import re
import ssl
import threading
import time

USER, PASSWORD = "flasky", "secret"
MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)

accepted_at = {}  # Message-ID → s on the monotonic clock, which all processes of a machine share
accepted = 0
spoken = 0  # times that a client has spoken after it had been answered


def start(delay=0, certificate=None):
    """Serve in a thread; each mail is accepted `delay` s after its last byte. With a certificate login is required."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()
    serving = loop.create_server(lambda: Session(loop, delay, context), "127.0.0.1", 0, backlog=512)
    server = loop.run_until_complete(serving)
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return {"port": server.sockets[0].getsockname()[1]}


def count():
    return {"accepted": accepted}


def turns():
    return {"turns": spoken}


def acceptances():
    return {"accepted_at": accepted_at}


class Session(asyncio.Protocol):
    def __init__(self, loop, delay, context):
        self.loop, self.delay, self.context = loop, delay, context
        self.is_secure = self.is_logged_in = False
        self.received, self.searched = bytearray(), 0
        self.in_content = self.is_waiting = False
        self.login_steps = []
        self.replies = []
        self.has_answered = False

    def connection_made(self, transport):
        self.transport = transport
        self.reply("220 relay ready")
        self.flush()

    def data_received(self, data):
        global spoken
        spoken += self.has_answered
        self.has_answered = False
        self.received += data
        self.go_on()

    def go_on(self):
        """Take what is complete: commands and content may come many in one segment, or cut anywhere."""
        while not self.is_waiting and (self.take_content() if self.in_content else self.take_line()):
            pass
        self.flush()

    def take_line(self):
        line, end, rest = self.received.partition(b"\r\n")
        if not end:
            return False
        self.received = rest
        self.obey(line.decode("utf-8", "replace"))
        return True

    def take_content(self):
        end = 0 if self.received.startswith(b".\r\n") else self.received.find(b"\r\n.\r\n", max(self.searched - 4, 0))
        if end < 0:
            self.searched = len(self.received)  # a large mail is not searched from its start for each segment
            return False
        content, self.received = self.received[:end], self.received[end + (3 if end == 0 else 5) :]
        self.in_content, self.searched = False, 0
        if self.delay:
            self.is_waiting = True
            self.flush()
            self.loop.call_later(self.delay, self.accept, bytes(content))
        else:
            self.accept(bytes(content))
        return True

    def accept(self, content):
        global accepted
        accepted += 1
        if found := MESSAGE_ID.search(content):
            accepted_at[found[1].decode("ascii", "replace")] = time.monotonic()
        self.reply("250 2.0.0 accepted")
        if self.is_waiting:
            self.is_waiting = False
            self.go_on()

    def obey(self, line):
        if self.login_steps:
            self.login_steps.pop(0)(line)
            return
        verb = line[:4].upper()
        if verb == "EHLO":
            secure = ["STARTTLS"] if self.context and not self.is_secure else []
            login = ["AUTH PLAIN LOGIN"] if self.context and self.is_secure else []
            extensions = ["relay", "PIPELINING", "8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES", *secure, *login]
            self.replies += [f"250-{extension}" for extension in extensions[:-1]] + [f"250 {extensions[-1]}"]
        elif verb == "STAR" and self.context and not self.is_secure:
            self.start_tls()
        elif verb == "AUTH" and self.is_secure:
            self.log_in(*line.split()[1:])
        elif verb == "MAIL" and self.context and not self.is_logged_in:
            self.reply("530 5.7.0 log in first")
        elif verb in ("MAIL", "RCPT", "RSET", "NOOP"):
            self.reply("250 2.0.0 OK")
        elif verb == "DATA":
            self.in_content = True
            self.reply("354 go on")
        elif verb == "QUIT":
            self.reply("221 2.0.0 bye")
            self.flush()
            self.transport.close()
        else:
            self.reply("500 5.5.2 unknown command")

    def start_tls(self):
        self.transport.pause_reading()  # the client's first record is for the TLS layer
        self.reply("220 2.0.0 go on")
        self.flush()
        self.received.clear()  # RFC 3207: what came before is forgotten
        self.is_waiting = True  # the client may speak before `secure` has the transport to answer by
        self.upgrade = self.loop.create_task(self.secure())

    async def secure(self):
        try:
            self.transport = await self.loop.start_tls(self.transport, self, self.context, server_side=True)
        except OSError:
            self.transport.close()
        self.is_secure, self.is_waiting = True, False
        self.go_on()

    def log_in(self, mechanism, initial=""):
        if mechanism.upper() == "PLAIN" and initial:
            self.check(base64.b64decode(initial).decode().split("\0")[1:])
        elif mechanism.upper() == "LOGIN":
            given = []
            self.login_steps = [lambda text: self.ask(given, text), lambda text: self.check([*given, decoded(text)])]
            self.reply(f"334 {base64.b64encode(b'Username:').decode()}")
            if initial:
                self.replies.pop()
                self.obey(initial)
        else:
            self.reply("504 5.5.4 PLAIN with an initial response, or LOGIN")

    def ask(self, given, text):
        given.append(decoded(text))
        self.reply(f"334 {base64.b64encode(b'Password:').decode()}")

    def check(self, pair):
        self.is_logged_in = pair == [USER, PASSWORD]
        self.reply("235 2.7.0 welcome" if self.is_logged_in else "535 5.7.8 wrong")

    def reply(self, line):
        self.replies.append(line)

    def flush(self):
        """Answer commands that came together together, as servers with PIPELINING do."""
        if self.replies and not self.transport.is_closing():
            self.transport.write("".join(f"{line}\r\n" for line in self.replies).encode())
            self.has_answered = True
        self.replies.clear()


def decoded(text):
    return base64.b64decode(text).decode()
