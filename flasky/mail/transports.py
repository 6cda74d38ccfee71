"""The real e-mail backend behind the outbox: opened, kept, and asked what became of a message."""

import contextlib
import os
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import get_connection
from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend

from flasky.mail.replies import Reply, Verdict, provider_verdict
from flasky.mail.trouble import TransportUnavailable, advise, explain
from flasky.mail.wire import rebuild

__all__ = ["Server", "Transport", "TransportUnavailable", "borrow", "close_kept", "new_transport"]

KEEP_IDLE = 30  # s until a kept connection is closed
QUIT_TIMEOUT = 1  # s; a server that does not say goodbye must not keep us
CONTENT_TIMEOUT = 10  # times MAIL_TIMEOUT for the reply to the whole message, see _hand_over
CHUNK = 64 * 1024  # bytes; MAIL_TIMEOUT is for each, not for all of a large message
KEEP_MAILS = 100  # mails after which a connection is renewed


@dataclass(frozen=True)
class Server:
    """Whom a transport talks to."""

    name: str
    security: str = "none"
    logged_in: bool = False


class Transport:
    """Hand messages to any Django e-mail backend: console, file, a provider's API."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.mails = 0
        self.idle_since = time.monotonic()
        self.aborted = False

    @property
    def server(self) -> Server:
        return Server(settings.MAIL_TRANSPORT)

    def open(self) -> None:
        """Connect, if that is not done yet. Raise TransportUnavailable."""
        try:
            self._connect()
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            self.close()
            raise TransportUnavailable(explain(error)) from error

    def _connect(self) -> None:
        if self.backend.open():
            self.idle_since = time.monotonic()

    def close(self) -> None:
        # Whatever goes wrong while hanging up, the mails before were answered.
        with contextlib.suppress(OSError, smtplib.SMTPException):
            self.backend.close()

    def abort(self) -> None:
        """Cut the connection while another thread uses it, if it has one that can be cut."""
        self.aborted = True

    def is_worn(self) -> bool:
        return self.mails >= KEEP_MAILS or time.monotonic() - self.idle_since > KEEP_IDLE

    def deliver(self, message: Any) -> dict[str, Reply]:
        """Hand over an outbox message and return the reply for each of its remaining recipients.

        Raise TransportUnavailable if nobody's mail is taken now; the message was not touched then.
        """
        self.mails += 1
        recipients = message.remaining_recipients
        email = rebuild(message.content, message.envelope_sender, recipients, message.provider_options)
        try:
            taken = self.backend.send_messages([email])
        except AnymailError as error:
            text = " ".join(str(error).split())
            otherwise = Reply(provider_verdict(error, error.status_code), text)
            if otherwise.verdict == Verdict.UNAVAILABLE:
                raise TransportUnavailable(f"{otherwise.text} {advise(otherwise)}") from error
        except Exception as error:
            if not _was_answered(email):
                raise
            # A receiver of post_send failed when the provider had the mail already.
            otherwise = Reply(Verdict.UNKNOWN, f"{type(error).__name__} after the provider's answer: {error}")
        else:
            otherwise = Reply(Verdict.ACCEPTED, "handed over")
            if taken == 0:
                otherwise = Reply(Verdict.REFUSED, "The transport sent nothing: a receiver of pre_send cancelled it.")
        return _provider_replies(email, recipients, otherwise)


def _provider_replies(email: Any, recipients: list[str], otherwise: Reply) -> dict[str, Reply]:
    """Return what Anymail recorded for each recipient, whatever failed afterwards; `otherwise` where it is silent."""
    replies = dict.fromkeys(recipients, otherwise)
    if _was_answered(email):
        for address, said in email.anymail_status.recipients.items():
            if address in replies and said.status:
                refused = said.status in ("invalid", "rejected", "failed")
                verdict = Verdict.REFUSED if refused else Verdict.ACCEPTED
                replies[address] = Reply(verdict, f"{said.status}, id {said.message_id}")
    return replies


def _was_answered(email: Any) -> bool:
    status = getattr(email, "anymail_status", None)
    return status is not None and status.esp_response is not None


class SmtpTransport(Transport):
    """Hand the stored bytes to an SMTP server (RFC 5321) over one kept connection.

    Django's backend connects, secures and logs in. The dialogue is ours: its `send_messages` keeps the replies to
    itself and drops the refusal of some of several recipients.
    """

    @property
    def server(self) -> Server:
        backend = self.backend
        security = "TLS" if backend.use_ssl else "STARTTLS" if backend.use_tls else "none"
        return Server(f"{backend.host}:{backend.port}", security, bool(backend.username and backend.password))

    def deliver(self, message: Any) -> dict[str, Reply]:
        if self.is_worn():
            self.close()
        kept = self.backend.connection is not None and self.mails > 0
        self.open()
        try:
            try:
                return self._dialogue(message)
            except (smtplib.SMTPServerDisconnected, TransportUnavailable):
                # A server may end a connection that it kept for us at any time, with a 421 or without a word. Until
                # it has taken our first command nothing has happened to the message.
                if not kept or self.has_begun:
                    raise
                self.close()
                self.open()
                return self._dialogue(message)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            if self.aborted:
                raise TransportUnavailable("The process was stopped before the message was handed over.") from error
            return dict.fromkeys(message.remaining_recipients, Reply(Verdict.POSTPONED, explain(error)))
        except TransportUnavailable:
            self.close()
            raise

    def _connect(self) -> None:
        super()._connect()
        # smtplib would greet with the first mail; a server that does not want us is no message's fault.
        self.backend.connection.ehlo_or_helo_if_needed()

    def close(self) -> None:
        if self.backend.connection is not None and self.backend.connection.sock is not None:
            self.backend.connection.sock.settimeout(QUIT_TIMEOUT)
        super().close()
        self.backend.connection = None
        self.mails = 0

    def abort(self) -> None:
        self.aborted = True
        smtp = self.backend.connection
        if smtp is not None and smtp.sock is not None:
            with contextlib.suppress(OSError):
                smtp.sock.shutdown(socket.SHUT_RDWR)  # whoever waits for a reply is told that there will be none

    def _dialogue(self, message: Any) -> dict[str, Reply]:
        smtp = self.backend.connection
        self.has_begun = False
        self.mails += 1
        content, recipients = bytes(message.content), message.remaining_recipients
        sender = self._heard("MAIL", smtp.mail(message.envelope_sender, self._mail_options(content)))
        if sender.verdict == Verdict.ACCEPTED:
            self.has_begun = True
            replies = {address: self._heard("RCPT", smtp.rcpt(address)) for address in recipients}
            willing = [address for address, reply in replies.items() if reply.verdict == Verdict.ACCEPTED]
            if willing:
                replies |= dict.fromkeys(willing, self._hand_over(content))
        else:
            replies = dict.fromkeys(recipients, sender)
        self._leave_ready(replies)
        self.idle_since = time.monotonic()
        return replies

    def _mail_options(self, content: bytes) -> list[str]:
        smtp = self.backend.connection
        options = []
        if smtp.has_extn("size"):  # RFC 1870
            options.append(f"SIZE={len(content)}")
        if smtp.has_extn("8bitmime") and not content.isascii():  # RFC 6152
            options.append("BODY=8BITMIME")
        return options

    def _hand_over(self, content: bytes) -> Reply:
        smtp = self.backend.connection
        go_ahead = smtp.docmd("DATA")
        if go_ahead[0] != 354:
            return self._heard("DATA", go_ahead)
        wire = _dot_stuffed(content)
        for start in range(0, len(wire), CHUNK):
            smtp.send(wire[start : start + CHUNK])
        try:
            # Giving up here repeats a mail that is perhaps only being scanned (RFC 5321, section 4.5.3.2.6).
            smtp.sock.settimeout(settings.EMAIL_TIMEOUT * CONTENT_TIMEOUT)
            answer = smtp.getreply()
            smtp.sock.settimeout(settings.EMAIL_TIMEOUT)
            return self._heard("CONTENT", answer)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Reply(Verdict.UNKNOWN, f"No reply to the whole message. {explain(error)}")

    def _heard(self, command: str, answer: tuple[int, bytes]) -> Reply:
        code, text = answer
        reply = Reply.to(command, code, text.decode("utf-8", "replace"))
        if reply.verdict == Verdict.UNAVAILABLE:
            raise TransportUnavailable(f"{self.server.name} answered {reply.text}. {advise(reply)}")
        return reply

    def _leave_ready(self, replies: dict[str, Reply]) -> None:
        """End a transaction that did not end with an acceptance."""
        if self.backend.connection is None or any(reply.verdict == Verdict.ACCEPTED for reply in replies.values()):
            return
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if self.backend.connection.rset()[0] == 250:
                return
        self.close()


def _dot_stuffed(content: bytes) -> bytes:
    """Return the lines of a message as DATA carries them (RFC 5321, section 4.5.2)."""
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
    return stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n")


def new_transport() -> Transport:
    backend = get_connection(settings.MAIL_TRANSPORT)
    return SmtpTransport(backend) if isinstance(backend, SmtpEmailBackend) else Transport(backend)


_kept: list[Transport] = []
_lent: set[Transport] = set()
_keeping = threading.Lock()


@contextlib.contextmanager
def borrow() -> Iterator[Transport]:
    """Lend an open transport, one that was kept if there is one. Raise TransportUnavailable."""
    transport = _take_kept() or new_transport()
    transport.open()
    with _keeping:
        _lent.add(transport)
    try:
        yield transport
    except BaseException:
        transport.close()
        raise
    else:
        with _keeping:
            _kept.append(transport)
    finally:
        with _keeping:
            _lent.discard(transport)


def abort_lent() -> None:
    """Cut the connections that are in use; what was not handed over yet is released by whoever used them."""
    with _keeping:
        in_use = list(_lent)
    for transport in in_use:
        transport.abort()


def _take_kept() -> Transport | None:
    while True:
        with _keeping:
            transport = _kept.pop() if _kept else None
        if transport is None or not transport.is_worn():
            return transport
        transport.close()


def close_kept(idle_only: bool = False) -> None:
    """Close the connections that nobody uses, or only those that were idle for too long."""
    with _keeping:
        closing = [transport for transport in _kept if not idle_only or transport.is_worn()]
        _kept[:] = [transport for transport in _kept if transport not in closing]
    for transport in closing:
        transport.close()


def _forget_the_parents_connections() -> None:
    global _keeping
    _keeping = threading.Lock()
    _kept.clear()
    _lent.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_the_parents_connections)
