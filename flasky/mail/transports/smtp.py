"""Hand the stored bytes to an SMTP server, in as few round trips as it allows."""

import contextlib
import logging
import socket
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from flasky.mail.conf import conf
from flasky.mail.signals import envelope_answered, text_sent
from flasky.mail.transports.abilities import Fitted, fit
from flasky.mail.transports.base import CROWDED, Server, Transport
from flasky.mail.transports.connecting import connect, connects_as_django_does
from flasky.mail.transports.diagnosis import CONTENT_TIMEOUT, describe_end, unavailable
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.replies import GOODBYE, Reply, Verdict, is_about_too_many_recipients, is_out_of_turn
from flasky.mail.transports.replies_in_time import keep_time
from flasky.mail.transports.reply_table import NOT_NAMED_YET, Advice
from flasky.mail.transports.sentences import FOLLOWS, NO_REPLY_TO_RECIPIENT, NO_REPLY_TO_TEXT, STOPPED

logger = logging.getLogger(__name__)

QUIT_TIMEOUT = 1  # s; a server that does not say goodbye must not keep us
CHUNK = 64 * 1024  # bytes; MAIL_TIMEOUT is for each, not for all of a large message
GROUP = 100  # commands in one write: the server's replies must fit into the buffers of a client that is still writing

MOST_CONNECTIONS = 5  # for one message in one attempt: recipients may end one each

WAITS_FOR_TEXT = 354

Answer = tuple[int, bytes]

NEXT_TIME = Reply(Verdict.POSTPONED, FOLLOWS, "RCPT", NOT_NAMED_YET)

_taking_announcements: set[str] = set()  # servers that have taken an envelope behind the text before it
_heard_one_by_one: set[str] = set()  # servers that have refused one
_mails_per_connection: dict[str, int] = {}  # by server, where it takes fewer than we keep a connection for
_most_recipients: dict[str, int] = {}  # in one transaction, by server, where it has refused more


class _OutOfTurn(TransportUnavailable):
    """The server refuses what was announced because it was announced, whatever it is."""


class SmtpTransport(Transport):
    """Hand the stored bytes to an SMTP server (RFC 5321) over one kept connection.

    The options are those of Django's backend, and the dialogue is ours: its `send_messages` keeps the replies to
    itself and drops the refusal of some of several recipients. Where the server takes commands in groups (RFC 2920),
    a message's envelope travels with the end of the message before it: one round trip for each message.
    """

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.announced: Any = None  # the message whose envelope the server has got ahead of its turn
        self.was_announced = False  # the one that is being handed over
        self.has_begun = False  # the server has taken its sender
        self.place = ""  # what the server was told last: the command, or the TEXT
        self.asked = ""  # the recipient whose answer is waited for
        self.has_text_begun = False
        self.is_used_up = False  # the server takes no more on this connection, and may do so on a new one
        self._fitted_last: tuple[Any, Any, Fitted] | None = None  # message, connection

    @property
    def _smtp(self) -> Any:
        return self.backend.connection

    @cached_property
    def server(self) -> Server:
        backend = self.backend
        security = "TLS" if backend.use_ssl else "STARTTLS" if backend.use_tls else "none"
        return Server(f"{backend.host}:{backend.port}", security, bool(backend.username and backend.password))

    @property
    def keep_mails(self) -> int:
        return _mails_per_connection.get(self.server.name, super().keep_mails)

    def _connect(self) -> bool:
        if self.backend.connection is not None:
            return False
        if connects_as_django_does(self.backend):
            self.backend.connection = connect(self.backend)
            self.idle_since = time.monotonic()
        elif super()._connect():
            keep_time(self._smtp)
            self._smtp.ehlo_or_helo_if_needed()
        # The end of a long message must not wait until the server has acknowledged what was sent before it.
        self._smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return True

    def close(self) -> None:
        smtp = self._smtp
        if smtp is not None and smtp.sock is not None:
            smtp.sock.settimeout(QUIT_TIMEOUT)
            if self.announced is not None:
                smtp.close()  # the server would take a QUIT for the text of that message
        super().close()
        self.backend.connection = self.announced = None
        self.mails = 0

    @property
    def may_have_left(self) -> bool:
        return self.has_text_begun

    def abort(self) -> None:
        super().abort()
        cut(self._smtp)

    def deliver(self, message: Any, following: Any = None) -> dict[str, Reply]:
        if self.announced is not message and (self.announced is not None or self.is_worn()):
            self.close()
        replies: dict[str, Reply] = {}
        for _ in range(MOST_CONNECTIONS):
            settled = len(replies)
            try:
                self._converse(message, replies, following)
                return replies | dict.fromkeys(_others(message, replies), NEXT_TIME)
            except (OSError, TransportUnavailable) as error:  # smtplib's own are OSErrors
                self.close()
                failure = error
            if not (self._one_has_ended_it(failure, replies, settled) and _others(message, replies)):
                break
        return self._postpone_the_others(message, replies, failure)

    def _converse(self, message: Any, replies: dict[str, Reply], following: Any) -> None:
        """Hand the message over on the connection that was kept, or on a new one.

        A server may end a connection that it kept for us at any time, with a 421 or without a word, and may refuse to
        hear what was announced. Until it has taken our first command nothing has happened to the message; nor has it
        when it takes no more on this connection.
        """
        is_kept, self.asked, self.has_text_begun = self._smtp is not None and self.mails > 0, "", False
        self.open()
        try:
            self._dialogue(message, replies, following)
        except (OSError, TransportUnavailable) as error:
            if not is_kept or self.aborted or (self.has_begun and not self.is_used_up):
                raise
            if self.was_announced and not self.is_used_up:
                self._announce_no_more(error)
            self.has_text_begun = False
            self.close()
            self.open()
            self._dialogue(message, replies, following)

    def _one_has_ended_it(self, failure: Exception, replies: dict[str, Reply], settled: int) -> bool:
        """Tell whether the connection ended because of one recipient, so that the others may be taken on a new one.

        It is one who was refused before the end, or else the one whose answer did not come, who is postponed then.
        """
        if self.aborted or self.has_text_begun:
            return False
        if self.asked and len(replies) == settled:
            replies[self.asked] = Reply(Verdict.POSTPONED, f"{NO_REPLY_TO_RECIPIENT} {self._end(failure)}", "RCPT")
        return len(replies) > settled

    def _postpone_the_others(self, message: Any, replies: dict[str, Reply], failure: Exception) -> dict[str, Reply]:
        """Return what was heard, and that the others wait. Raise TransportUnavailable if nobody here is to blame."""
        if isinstance(failure, TransportUnavailable):
            if not replies:
                raise failure
            reason = str(failure)
        elif self.aborted:
            raise TransportUnavailable(STOPPED) from failure
        else:
            reason = self._end(failure)
        return replies | dict.fromkeys(_others(message, replies), Reply(Verdict.POSTPONED, reason))

    def _end(self, failure: Exception) -> str:
        return describe_end(failure, self.backend, self.place)

    def _dialogue(self, message: Any, replies: dict[str, Reply], following: Any) -> None:
        """Add the reply for each recipient that has none."""
        self.has_begun, self.was_announced, self.asked = False, self.announced is message, ""
        self.is_used_up = False
        self.mails += 1
        willing = self._name_the_envelope(message, replies)
        envelope_answered.send_robust(type(self))
        if willing:
            self.has_text_begun = True
            reply = self._hand_over(self._fitted(message).content, following)
            self._learn_from(reply, len(willing))
            replies |= dict.fromkeys(willing, reply)
        self._leave_ready(replies)
        self.idle_since = time.monotonic()

    def _name_the_envelope(self, message: Any, replies: dict[str, Reply]) -> list[str]:
        """Add the reply for each recipient who gets nothing; return those for whom the server waits for the text."""
        replies |= self._fitted(message).refused
        recipients = self._named_at_once(_others(message, replies))
        if not recipients:
            return []
        answers = self._answers(message, recipients)
        self.place = "MAIL"
        sender = self._heard("MAIL", next(answers))
        if sender.verdict == Verdict.ACCEPTED:
            self.has_begun = True
            if self.was_announced:
                _taking_announcements.add(self.server.name)
            willing = self._name_the_recipients(recipients, replies, answers)
        else:
            replies |= dict.fromkeys(_others(message, replies), sender)
            willing = []
        if willing:
            self.place = "DATA"
            go_ahead = next(answers)
            if go_ahead[0] != WAITS_FOR_TEXT:
                reply = self._heard("DATA", go_ahead)
                self._learn_from(reply, len(willing))
                replies |= dict.fromkeys(willing, reply)
                willing = []
        elif self.takes_groups:
            self._hear_out(answers)
        return willing

    def _name_the_recipients(
        self, recipients: list[str], replies: dict[str, Reply], answers: Iterator[Answer]
    ) -> list[str]:
        willing, of_account, settled = [], {}, len(replies)
        self.place = "RCPT"
        for address in recipients:
            self.asked = address
            reply = self._heard("RCPT", next(answers))
            if reply.verdict == Verdict.ACCEPTED:
                willing.append(address)
            elif reply.wants_new_connection and (self.mails > 1 or len(replies) > settled):  # not because of this one
                raise self._no_more_here(reply)
            elif reply.is_about_account:
                of_account[address] = reply
            else:
                if is_about_too_many_recipients(reply) and willing:
                    self._learn(len(willing))
                replies[address] = reply
        self.asked = ""
        if of_account and not willing:
            raise unavailable(self.server.name, next(iter(of_account.values())))
        replies |= of_account
        return willing

    def _named_at_once(self, recipients: list[str]) -> list[str]:
        """Return the first ones, as many as the setting and the server let one transaction have."""
        if len(recipients) < 2:
            return recipients
        limits = (conf.MAIL_MAX_RECIPIENTS, _most_recipients.get(self.server.name, 0))
        return recipients[: min((limit for limit in limits if limit), default=None)]

    def _learn_from(self, reply: Reply, named: int) -> None:
        """Name half as many next time, if the server has refused the whole because they were too many."""
        if named > 1 and is_about_too_many_recipients(reply):
            self._learn(named // 2)

    def _learn(self, number: int) -> None:
        server = self.server.name
        if number < _most_recipients.get(server, number + 1):
            _most_recipients[server] = number
            logger.info("%s takes no more than %d recipients in one transaction.", server, number)

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
        size, smtp = GROUP if self.takes_groups else 1, self._smtp
        is_said, self.announced = self.announced is message, None
        for start in range(0, len(commands), size):
            group = commands[start : start + size]
            if not is_said:
                self._send(b"".join(group))
            for _ in group:
                yield smtp.getreply()

    @property
    def takes_groups(self) -> bool:
        return self._smtp.has_extn("pipelining")

    def _fitted(self, message: Any) -> Fitted:
        """Return the message as the server on this connection takes it."""
        smtp = self._smtp
        if not self._fitted_last or self._fitted_last[0] is not message or self._fitted_last[1] is not smtp:
            self._fitted_last = message, smtp, fit(message, smtp.esmtp_features, self.server.name)
        return self._fitted_last[2]

    def _commands(self, message: Any, recipients: list[str]) -> list[bytes]:
        commands = [f"MAIL FROM:<{message.envelope_sender}>{self._fitted(message).options}"]
        commands += [f"RCPT TO:<{address}>" for address in recipients]
        lines = [command.encode() + b"\r\n" for command in [*commands, "DATA"]]
        if any(line.count(b"\n") > 1 or line.count(b"\r") > 1 for line in lines):
            raise ValueError("An envelope address has a line break.")
        return lines

    def _hand_over(self, content: bytes, following: Any) -> Reply:
        smtp, (text, end) = self._smtp, _as_data(content)
        self.place = "TEXT"
        last = len(text) - len(text) % CHUNK  # where the piece begins that leaves together with the next envelope
        for start in range(0, last, CHUNK):
            self._send(memoryview(text)[start : start + CHUNK])
        self._send(text[last:] + end + self._announce(following), enough=len(text) - last + len(end))
        text_sent.send_robust(type(self))
        self.place = "CONTENT"
        try:
            # Giving up here repeats a mail that is perhaps only being scanned (RFC 5321, section 4.5.3.2.6).
            timeout = conf.MAIL_TIMEOUT
            smtp.sock.settimeout(timeout * CONTENT_TIMEOUT)
            answer = smtp.getreply()
            smtp.sock.settimeout(timeout)
            reply = self._heard("CONTENT", answer)
        except OSError as error:
            self.close()
            return Reply(Verdict.UNKNOWN, f"{NO_REPLY_TO_TEXT} {self._end(error)}")
        if reply.verdict == Verdict.UNKNOWN:  # the true one may follow, and would be taken for the next message's
            self.close()
        return reply

    def _send(self, data: bytes | memoryview, enough: int | None = None) -> None:
        """Send the data. Raise OSError unless `enough` bytes could leave: then the message is out, come what may.

        MAIL_TIMEOUT is for all of it: a server that takes some bytes now and then does not keep this thread.
        """
        rest, missing, sock = memoryview(data), len(data) if enough is None else enough, self._smtp.sock
        timeout = sock.gettimeout()
        until = time.monotonic() + (timeout or 0)
        try:
            while rest:
                try:
                    count = sock.send(rest)
                except OSError:
                    if missing > 0:
                        raise
                    return
                rest, missing = rest[count:], missing - count
                if rest and timeout is not None:
                    sock.settimeout(max(until - time.monotonic(), 0.001))  # 0 would mean not to wait at all
        finally:
            if sock.gettimeout() != timeout:
                sock.settimeout(timeout)

    def _announce(self, following: Any) -> bytes:
        """Return the envelope to send with the end of this message (RFC 2920, section 3.1 allows it), if any."""
        if following is None or not self.takes_groups or self.is_worn() or self.server.name in _heard_one_by_one:
            return b""
        with contextlib.suppress(TypeError, ValueError):  # its own turn will tell what is wrong with it
            recipients = self._named_at_once(_others(following, self._fitted(following).refused))
            commands = self._commands(following, recipients)
            if recipients and len(commands) <= GROUP:
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
                    self._end(error),
                )

    def _heard(self, command: str, answer: Answer) -> Reply:
        code, text = answer
        reply = Reply.to(command, code, text.decode("utf-8", "replace"))
        if self.was_announced and is_out_of_turn(reply):
            self.has_begun = False
            raise _OutOfTurn(reply.text)
        if reply.verdict == Verdict.UNAVAILABLE:
            raise self._no_more_here(reply) if reply.wants_new_connection else unavailable(self.server.name, reply)
        return reply

    def _no_more_here(self, reply: Reply) -> TransportUnavailable:
        """Remember what the server says of this connection, and how many mails it takes on one."""
        self.is_used_up, server, taken = True, self.server.name, self.mails - 1
        if reply.row.advice == Advice.MAILS_PER_CONNECTION and 0 < taken < self.keep_mails:
            _mails_per_connection[server] = taken
            logger.info(
                "%s answered %s. From now on a connection to it is renewed after %d.", server, reply.text, taken
            )
        return unavailable(server, reply)

    def _leave_ready(self, replies: dict[str, Reply]) -> None:
        """End a transaction that did not end with an acceptance, unless the next one has begun."""
        if self._smtp is None or self.announced is not None:
            return
        if any(reply.text.startswith((str(CROWDED), str(GOODBYE))) for reply in replies.values()):
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


def cut(smtp: Any) -> None:
    """Shut the connection down, if there is one, while another thread uses it."""
    sock = getattr(smtp, "sock", None)  # looked at once: the thread that uses it may close it meanwhile
    if sock is not None:
        with contextlib.suppress(OSError):
            # Whoever waits for a reply is told that there will be none. A TLS socket's own shutdown() would also take
            # its reader's session away, and that one would end with a ValueError.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _others(message: Any, replies: dict[str, Reply]) -> list[str]:
    return [address for address in message.remaining_recipients if address not in replies]


def _as_data(content: bytes) -> tuple[bytes, bytes]:
    """Return the lines of a message as DATA carries them, not copied if they need no change, and what ends them.

    The rules are in RFC 5321, section 4.5.2.
    """
    text = (b"." + content if content.startswith(b".") else content).replace(b"\r\n.", b"\r\n..")
    return text, b".\r\n" if text.endswith(b"\r\n") else b"\r\n.\r\n"
