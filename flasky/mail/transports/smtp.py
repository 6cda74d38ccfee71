"""Hand the stored bytes to an SMTP server, in as few round trips as it allows."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from flasky.mail.replies import Reply, Verdict
from flasky.mail.transports.base import CROWDED, Server, Transport
from flasky.mail.trouble import TransportUnavailable, advise, explain

QUIT_TIMEOUT = 1  # s; a server that does not say goodbye must not keep us
CONTENT_TIMEOUT = 10  # times MAIL_TIMEOUT for the reply to the whole message, see _hand_over
CHUNK = 64 * 1024  # bytes; MAIL_TIMEOUT is for each, not for all of a large message
GROUP = 100  # commands in one write: the server's replies must fit into the buffers of a client that is still writing

WAITS_FOR_TEXT = 354

Answer = tuple[int, bytes]


class SmtpTransport(Transport):
    """Hand the stored bytes to an SMTP server (RFC 5321) over one kept connection.

    Django's backend connects, secures and logs in. The dialogue is ours: its `send_messages` keeps the replies to
    itself and drops the refusal of some of several recipients. Where the server takes commands in groups (RFC 2920),
    a message's envelope travels with the end of the message before it: one round trip for each message.
    """

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.announced: Any = None  # the message whose envelope the server has got ahead of its turn

    @property
    def _smtp(self) -> Any:
        return self.backend.connection

    @property
    def server(self) -> Server:
        backend = self.backend
        security = "TLS" if backend.use_ssl else "STARTTLS" if backend.use_tls else "none"
        return Server(f"{backend.host}:{backend.port}", security, bool(backend.username and backend.password))

    def _connect(self) -> bool:
        is_new = super()._connect()
        if is_new:
            # smtplib would greet with the first mail; a server that does not want us is no message's fault.
            self._smtp.ehlo_or_helo_if_needed()
            # The end of a long message must not wait until the server has acknowledged what was sent before it.
            self._smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return is_new

    def close(self) -> None:
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            smtp.sock.settimeout(QUIT_TIMEOUT)
            if self.announced is not None:
                smtp.close()  # the server would take a QUIT for the text of that message
        super().close()
        self.backend.connection = self.announced = None
        self.mails = 0

    def abort(self) -> None:
        self.aborted = True
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            with contextlib.suppress(OSError):
                smtp.sock.shutdown(socket.SHUT_RDWR)  # whoever waits for a reply is told that there will be none

    def deliver(self, message: Any, following: Any = None) -> dict[str, Reply]:
        if self.announced is not message and (self.announced is not None or self.is_worn()):
            self.close()
        kept = self._smtp is not None and self.mails > 0
        self.open()
        try:
            try:
                return self._dialogue(message, following)
            except (OSError, TransportUnavailable):
                # A server may end a connection that it kept for us at any time, with a 421 or without a word. Until
                # it has taken our first command nothing has happened to the message.
                if not kept or self.has_begun or self.aborted:
                    raise
                self.close()
                self.open()
                return self._dialogue(message, following)
        except OSError as error:  # smtplib's own are among them
            self.close()
            if self.aborted:
                raise TransportUnavailable("The process was stopped before the message was handed over.") from error
            return dict.fromkeys(message.remaining_recipients, Reply(Verdict.POSTPONED, explain(error)))
        except TransportUnavailable:
            self.close()
            raise

    def _dialogue(self, message: Any, following: Any) -> dict[str, Reply]:
        self.has_begun = False
        self.mails += 1
        replies, willing = self._name_the_envelope(message)
        if willing:
            replies |= dict.fromkeys(willing, self._hand_over(bytes(message.content), following))
        self._leave_ready(replies)
        self.idle_since = time.monotonic()
        return replies

    def _name_the_envelope(self, message: Any) -> tuple[dict[str, Reply], list[str]]:
        """Return the reply for each recipient, and those for whom the server waits for the text."""
        recipients = message.remaining_recipients
        answers = self._answers(message)
        sender = self._heard("MAIL", next(answers))
        if sender.verdict == Verdict.ACCEPTED:
            self.has_begun = True
            replies = {address: self._heard("RCPT", next(answers)) for address in recipients}
        else:
            replies = dict.fromkeys(recipients, sender)
        willing = [address for address, reply in replies.items() if reply.verdict == Verdict.ACCEPTED]
        if willing:
            go_ahead = next(answers)
            if go_ahead[0] != WAITS_FOR_TEXT:
                replies |= dict.fromkeys(willing, self._heard("DATA", go_ahead))
                willing = []
        elif self.takes_groups:
            self._hear_out(answers)
        return replies, willing

    def _hear_out(self, answers: Iterator[Answer]) -> None:
        """Read the answers to what was said together with a refused command: even the DATA for nobody has one."""
        try:
            *_, go_ahead = answers
            if go_ahead[0] == WAITS_FOR_TEXT:
                self._ask(b".\r\n")
        except OSError:  # the refusal stands
            self.close()

    def _answers(self, message: Any) -> Iterator[Answer]:
        """Yield the server's answer to each command of the envelope; say only then the commands that follow it."""
        commands = self._commands(message)
        size = GROUP if self.takes_groups else 1
        is_said, self.announced = self.announced is message, None
        for start in range(0, len(commands), size):
            group = commands[start : start + size]
            if not is_said:
                self._send(b"".join(group))
            for _ in group:
                yield self._smtp.getreply()

    @property
    def takes_groups(self) -> bool:
        return self._smtp.has_extn("pipelining")

    def _commands(self, message: Any) -> list[bytes]:
        commands = [f"MAIL FROM:<{message.envelope_sender}>{self._mail_options(message.content)}"]
        commands += [f"RCPT TO:<{address}>" for address in message.remaining_recipients]
        lines = [command.encode("ascii") + b"\r\n" for command in [*commands, "DATA"]]
        if any(line.count(b"\n") > 1 or line.count(b"\r") > 1 for line in lines):
            raise ValueError("An envelope address has a line break.")
        return lines

    def _mail_options(self, content: bytes) -> str:
        smtp, options = self._smtp, ""
        if smtp.has_extn("size"):  # RFC 1870
            options += f" SIZE={len(content)}"
        if smtp.has_extn("8bitmime") and not bytes(content).isascii():  # RFC 6152
            options += " BODY=8BITMIME"
        return options

    def _hand_over(self, content: bytes, following: Any) -> Reply:
        smtp, (text, end) = self._smtp, _as_data(content)
        last = len(text) - len(text) % CHUNK  # where the piece begins that leaves together with the next envelope
        for start in range(0, last, CHUNK):
            self._send(memoryview(text)[start : start + CHUNK])
        self._send(text[last:] + end + self._announce(following), enough=len(text) - last + len(end))
        try:
            # Giving up here repeats a mail that is perhaps only being scanned (RFC 5321, section 4.5.3.2.6).
            smtp.sock.settimeout(settings.MAIL_TIMEOUT * CONTENT_TIMEOUT)
            answer = smtp.getreply()
            smtp.sock.settimeout(settings.MAIL_TIMEOUT)
            return self._heard("CONTENT", answer)
        except OSError as error:
            self.close()
            return Reply(Verdict.UNKNOWN, f"No reply to the whole message. {explain(error)}")

    def _send(self, data: bytes | memoryview, enough: int | None = None) -> None:
        """Send the data. Raise OSError unless `enough` bytes could leave: then the message is out, come what may."""
        rest, missing = memoryview(data), len(data) if enough is None else enough
        while rest:
            try:
                count = self._smtp.sock.send(rest)
            except OSError:
                if missing > 0:
                    raise
                return
            rest, missing = rest[count:], missing - count

    def _announce(self, following: Any) -> bytes:
        """Return the envelope to send with the end of this message (RFC 2920, section 3.1 allows it), if any."""
        if following is None or not self.takes_groups or self.is_worn():
            return b""
        with contextlib.suppress(TypeError, ValueError):  # its own turn will tell what is wrong with it
            commands = self._commands(following)
            if len(commands) <= GROUP:
                self.announced = following
                return b"".join(commands)
        return b""

    def _heard(self, command: str, answer: Answer) -> Reply:
        code, text = answer
        reply = Reply.to(command, code, text.decode("utf-8", "replace"))
        if reply.verdict == Verdict.UNAVAILABLE:
            sentence = f"{self.server.name} answered {reply.text}. {advise(reply)}"
            raise TransportUnavailable(sentence, is_crowded=code == CROWDED)
        return reply

    def _leave_ready(self, replies: dict[str, Reply]) -> None:
        """End a transaction that did not end with an acceptance, unless the next one has begun."""
        if self._smtp is None or self.announced is not None:
            return
        if any(reply.verdict == Verdict.ACCEPTED for reply in replies.values()):
            return
        with contextlib.suppress(OSError):
            if self._ask(b"RSET\r\n")[0] == 250:
                return
        self.close()

    def _ask(self, line: bytes) -> Answer:
        self._send(line)
        return self._smtp.getreply()


def _as_data(content: bytes) -> tuple[bytes, bytes]:
    """Return the lines of a message as DATA carries them, not copied if they need no change, and what ends them.

    The rules are in RFC 5321, section 4.5.2.
    """
    text = (b"." + content if content.startswith(b".") else content).replace(b"\r\n.", b"\r\n..")
    return text, b".\r\n" if text.endswith(b"\r\n") else b"\r\n.\r\n"
