"""Hand the stored bytes to an SMTP server, in as few round trips as it allows."""

import contextlib
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from flasky.mail.transports.base import CROWDED, Server, Transport
from flasky.mail.transports.diagnosis import advise, describe_end, explain
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict, is_out_of_turn

logger = logging.getLogger(__name__)

QUIT_TIMEOUT = 1  # s; a server that does not say goodbye must not keep us
CONTENT_TIMEOUT = 10  # times MAIL_TIMEOUT for the reply to the whole message, see _hand_over
CHUNK = 64 * 1024  # bytes; MAIL_TIMEOUT is for each, not for all of a large message
GROUP = 100  # commands in one write: the server's replies must fit into the buffers of a client that is still writing

MOST_CONNECTIONS = 5  # for one message in one attempt: recipients may end one each

WAITS_FOR_TEXT = 354

Answer = tuple[int, bytes]

_taking_announcements: set[str] = set()  # servers that have taken an envelope behind the text before it
_heard_one_by_one: set[str] = set()  # servers that have refused one


class _OutOfTurn(TransportUnavailable):
    """The server refuses what was announced because it was announced, whatever it is."""


class SmtpTransport(Transport):
    """Hand the stored bytes to an SMTP server (RFC 5321) over one kept connection.

    Django's backend connects, secures and logs in. The dialogue is ours: its `send_messages` keeps the replies to
    itself and drops the refusal of some of several recipients. Where the server takes commands in groups (RFC 2920),
    a message's envelope travels with the end of the message before it: one round trip for each message.
    """

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.announced: Any = None  # the message whose envelope the server has got ahead of its turn
        self.was_announced = False  # the one that is being handed over
        self.has_begun = False  # the server has taken its sender
        self.asked = ""  # the recipient whose answer is waited for
        self.has_text_begun = False

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
        sock = getattr(self._smtp, "sock", None)  # looked at once: the thread that uses it may close it meanwhile
        if sock is not None:
            with contextlib.suppress(OSError):
                # Whoever waits for a reply is told that there will be none. A TLS socket's own shutdown() would also
                # take its reader's session away, and that one would end with a ValueError.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def deliver(self, message: Any, following: Any = None) -> dict[str, Reply]:
        if self.announced is not message and (self.announced is not None or self.is_worn()):
            self.close()
        replies: dict[str, Reply] = {}
        for _ in range(MOST_CONNECTIONS):
            settled = len(replies)
            try:
                self._converse(message, replies, following)
                return replies
            except (OSError, TransportUnavailable) as error:  # smtplib's own are OSErrors
                self.close()
                trouble = error
            if not (self._one_has_ended_it(trouble, replies, settled) and _others(message, replies)):
                break
        return self._postpone_the_others(message, replies, trouble)

    def _converse(self, message: Any, replies: dict[str, Reply], following: Any) -> None:
        """Hand the message over on the connection that was kept, or on a new one.

        A server may end a connection that it kept for us at any time, with a 421 or without a word, and may refuse to
        hear what was announced. Until it has taken our first command nothing has happened to the message.
        """
        is_kept, self.asked, self.has_text_begun = self._smtp is not None and self.mails > 0, "", False
        self.open()
        try:
            self._dialogue(message, replies, following)
        except (OSError, TransportUnavailable) as error:
            if not is_kept or self.has_begun or self.aborted:
                raise
            if self.was_announced:
                self._announce_no_more(error)
            self.close()
            self.open()
            self._dialogue(message, replies, following)

    def _one_has_ended_it(self, trouble: Exception, replies: dict[str, Reply], settled: int) -> bool:
        """Tell whether the connection ended because of one recipient, so that the others may be taken on a new one.

        It is one who was refused before the end, or else the one whose answer did not come, who is postponed then.
        """
        if self.aborted or self.has_text_begun:
            return False
        if self.asked and len(replies) == settled:
            replies[self.asked] = Reply(
                Verdict.POSTPONED, f"No reply to this recipient. {describe_end(trouble)}", "RCPT"
            )
        return len(replies) > settled

    def _postpone_the_others(self, message: Any, replies: dict[str, Reply], trouble: Exception) -> dict[str, Reply]:
        """Return what was heard, and that the others wait. Raise TransportUnavailable if nobody here is to blame."""
        if isinstance(trouble, TransportUnavailable):
            if not replies:
                raise trouble
            reason = str(trouble)
        elif self.aborted:
            raise TransportUnavailable("The process was stopped before the message was handed over.") from trouble
        else:
            reason = describe_end(trouble) if self.has_begun else explain(trouble)
        return replies | dict.fromkeys(_others(message, replies), Reply(Verdict.POSTPONED, reason))

    def _dialogue(self, message: Any, replies: dict[str, Reply], following: Any) -> None:
        """Add the reply for each recipient that has none."""
        self.has_begun, self.was_announced, self.asked = False, self.announced is message, ""
        self.mails += 1
        willing = self._name_the_envelope(message, replies)
        if willing:
            self.has_text_begun = True
            replies |= dict.fromkeys(willing, self._hand_over(bytes(message.content), following))
        self._leave_ready(replies)
        self.idle_since = time.monotonic()

    def _name_the_envelope(self, message: Any, replies: dict[str, Reply]) -> list[str]:
        """Add the reply for each recipient who gets nothing; return those for whom the server waits for the text."""
        recipients = _others(message, replies)
        answers = self._answers(message, recipients)
        sender = self._heard("MAIL", next(answers))
        if sender.verdict == Verdict.ACCEPTED:
            self.has_begun = True
            if self.was_announced:
                _taking_announcements.add(self.server.name)
            willing = self._name_the_recipients(recipients, replies, answers)
        else:
            replies |= dict.fromkeys(recipients, sender)
            willing = []
        if willing:
            go_ahead = next(answers)
            if go_ahead[0] != WAITS_FOR_TEXT:
                replies |= dict.fromkeys(willing, self._heard("DATA", go_ahead))
                willing = []
        elif self.takes_groups:
            self._hear_out(answers)
        return willing

    def _name_the_recipients(
        self, recipients: list[str], replies: dict[str, Reply], answers: Iterator[Answer]
    ) -> list[str]:
        willing = []
        for address in recipients:
            self.asked = address
            reply = self._heard("RCPT", next(answers))
            if reply.verdict == Verdict.ACCEPTED:
                willing.append(address)
            else:
                replies[address] = reply
        self.asked = ""
        return willing

    def _hear_out(self, answers: Iterator[Answer]) -> None:
        """Read the answers to what was said together with a refused command: even the DATA for nobody has one."""
        try:
            *_, go_ahead = answers
            if go_ahead[0] == WAITS_FOR_TEXT:
                self._ask(b".\r\n")
        except OSError:  # the refusal stands
            self.close()

    def _answers(self, message: Any, recipients: list[str]) -> Iterator[Answer]:
        """Yield the server's answer to each command of the envelope; say only then the commands that follow it."""
        commands = self._commands(message, recipients)
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

    def _commands(self, message: Any, recipients: list[str]) -> list[bytes]:
        commands = [f"MAIL FROM:<{message.envelope_sender}>{self._mail_options(message.content)}"]
        commands += [f"RCPT TO:<{address}>" for address in recipients]
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
            return Reply(Verdict.UNKNOWN, f"No reply to the whole message. {describe_end(error)}")

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
        if following is None or not self.takes_groups or self.is_worn() or self.server.name in _heard_one_by_one:
            return b""
        with contextlib.suppress(TypeError, ValueError):  # its own turn will tell what is wrong with it
            commands = self._commands(following, following.remaining_recipients)
            if len(commands) <= GROUP:
                self.announced = following
                return b"".join(commands)
        return b""

    def _announce_no_more(self, error: Exception) -> None:
        """Remember that this server does not take what is announced, unless it has done so before and was just away."""
        server = self.server.name
        if isinstance(error, _OutOfTurn) or server not in _taking_announcements:
            _taking_announcements.discard(server)
            if server not in _heard_one_by_one:
                _heard_one_by_one.add(server)
                logger.warning(
                    "%s does not take the next mail's envelope behind the text of the one before (%s). Each mail is "
                    "said alone from now on, which takes one round trip more and loses nothing.",
                    server,
                    describe_end(error),
                )

    def _heard(self, command: str, answer: Answer) -> Reply:
        code, text = answer
        reply = Reply.to(command, code, text.decode("utf-8", "replace"))
        if self.was_announced and is_out_of_turn(reply):
            self.has_begun = False
            raise _OutOfTurn(reply.text)
        if reply.verdict == Verdict.UNAVAILABLE:
            sentence = f"{self.server.name} answered {reply.text}. {advise(reply)}"
            raise TransportUnavailable(sentence, is_crowded=code == CROWDED)
        return reply

    def _leave_ready(self, replies: dict[str, Reply]) -> None:
        """End a transaction that did not end with an acceptance, unless the next one has begun."""
        if self._smtp is None or self.announced is not None:
            return
        if any(reply.text.startswith(str(CROWDED)) for reply in replies.values()):
            self.close()  # the server is about to do so
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


def _others(message: Any, replies: dict[str, Reply]) -> list[str]:
    return [address for address in message.remaining_recipients if address not in replies]


def _as_data(content: bytes) -> tuple[bytes, bytes]:
    """Return the lines of a message as DATA carries them, not copied if they need no change, and what ends them.

    The rules are in RFC 5321, section 4.5.2.
    """
    text = (b"." + content if content.startswith(b".") else content).replace(b"\r\n.", b"\r\n..")
    return text, b".\r\n" if text.endswith(b"\r\n") else b"\r\n.\r\n"
