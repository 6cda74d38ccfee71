"""Use somebody's own SMTP backend as it is, and find out what became of the mail."""

import contextlib
import inspect
import logging
import re
import smtplib
import time
from collections.abc import Callable
from typing import Any

from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend

from flasky.mail.transports.abilities import wide_ones_refused
from flasky.mail.transports.base import Server, Transport
from flasky.mail.transports.diagnosis import explain, unavailable
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.failures import (
    describe_doubt,
    describe_own_fault,
    is_not_sayable_here,
    smtp_answers,
    smtp_reply,
    verdict_of_own_fault,
)
from flasky.mail.transports.replies import Reply, Verdict, reply_about_all
from flasky.mail.transports.replies_in_time import RepliesInTime, keep_time
from flasky.mail.transports.sentences import DOUBT, HANDED_OVER, STOPPED
from flasky.mail.transports.sentences_of_providers import SENT_NOTHING_RETURNED
from flasky.mail.transports.smtp import QUIT_TIMEOUT, SmtpTransport, cut
from flasky.mail.wire.rebuild import rebuild

logger = logging.getLogger(__name__)

# What somebody may do in a way of their own, and each mail is still sent as Django, or smtplib, sends it.
CONNECTING = {"open", "close", "_close_connection"}
SMTPLIB_CONNECTING = {"connect", "_get_socket", "starttls", "ehlo", "helo", "ehlo_or_helo_if_needed", "close", "quit"}
SMTPLIB_CONNECTING |= {"login", "auth", "auth_cram_md5", "auth_login", "auth_plain", "set_debuglevel", "_print_debug"}

TEXT_FOLLOWS = re.compile(rb"(DATA|BDAT)\b", re.IGNORECASE)


def sends_as_django_does(backend: Any) -> bool:
    """Tell whether nothing about sending is changed in Django's SMTP backend, nor in the connection that it uses.

    Which connection that will be is sometimes known only when it is open.
    """
    if not isinstance(backend, SmtpEmailBackend) or _changes(backend, SmtpEmailBackend, CONNECTING):
        return False
    if backend.connection is not None:
        connection: Any = backend.connection
        is_smtplibs = isinstance(connection, smtplib.SMTP)
    else:
        connection = backend.connection_class
        if not isinstance(connection, type):  # a function
            return True
        is_smtplibs = issubclass(connection, smtplib.SMTP)
    return is_smtplibs and not _changes(connection, smtplib.SMTP, SMTPLIB_CONNECTING)


def _changes(changed: Any, original: type, allowed: set[str]) -> bool:
    """Tell whether a class or an instance has other methods than the original, but for those that are allowed."""
    names = {name for name in dir(original) if not name.startswith("__") and name not in allowed}
    methods = {name: inspect.getattr_static(original, name) for name in names | {"__getattribute__"}}
    ours = RepliesInTime.getreply  # which reads the same replies
    return any(
        callable(method) and inspect.getattr_static(changed, name, None) not in (method, ours)
        for name, method in methods.items()
    )


class OwnSmtpTransport(Transport):
    """Hand messages to an SMTP backend that sends in a way of its own.

    Django's part of it drops the refusal of some of several recipients, and its errors do not say whether the text had
    left. So we listen: to the replies to RCPT, and for the DATA after which the server may have the mail.
    """

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self._heard: dict[str, Reply] = {}  # by the address that RCPT named
        self._has_spoken = False
        self._texts = 0  # for how many DATA was said
        self._listen(backend.connection)
        opened = backend.open

        def open_and_listen() -> Any:
            is_new = opened()
            self._listen(backend.connection)
            return is_new

        backend.open = open_and_listen  # send_messages() may open one, too

    @property
    def server(self) -> Server:
        return SmtpTransport(self.backend).server

    def _listen(self, smtp: Any) -> None:
        keep_time(smtp)
        if isinstance(smtp, smtplib.SMTP) and not hasattr(smtp, "outbox_listens"):
            vars(smtp).update(
                send=self._noting_what_is_said(smtp.send),
                rcpt=self._noting_the_reply(smtp.rcpt),
                outbox_listens=True,
            )

    def _noting_what_is_said(self, send: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def note(data: Any) -> Any:
            self._has_spoken = True
            self._texts += bool(TEXT_FOLLOWS.match(data[:5].encode() if isinstance(data, str) else bytes(data[:5])))
            return send(data)

        return note

    def _noting_the_reply(self, rcpt: Callable[..., Any]) -> Callable[..., Any]:
        def note(address: str, *arguments: Any, **options: Any) -> Any:
            code, text = rcpt(address, *arguments, **options)
            self._heard[address] = smtp_reply("RCPT", code, text)
            return code, text

        return note

    def _connect(self) -> bool:
        is_new = super()._connect()
        if is_new and isinstance(smtp := self.backend.connection, smtplib.SMTP):
            # smtplib would greet with the first mail; a server that does not want us is no message's fault.
            smtp.ehlo_or_helo_if_needed()
        return is_new

    def close(self) -> None:
        sock = getattr(self.backend.connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.settimeout(QUIT_TIMEOUT)
        super().close()
        self.backend.connection = None
        self.mails = 0

    def abort(self) -> None:
        super().abort()
        cut(self.backend.connection)

    def deliver(self, message: Any, following: Any = None) -> dict[str, Reply]:
        refused = wide_ones_refused(message, self.server.name)
        if len(refused) == len(message.remaining_recipients):
            return refused
        return self._deliver(message) | refused

    def _deliver(self, message: Any) -> dict[str, Reply]:
        if self.is_worn():
            self.close()
        is_kept = self.mails > 0
        self.open()
        try:
            return self._send(message)
        except (OSError, TransportUnavailable) as error:
            self.close()
            if is_kept and not self._heard and not self.aborted:  # the server had ended what nobody used: no attempt
                return self._deliver(message)
            if isinstance(error, TransportUnavailable):
                raise
            if self.aborted:
                raise TransportUnavailable(STOPPED) from error
            return dict.fromkeys(message.remaining_recipients, Reply(Verdict.POSTPONED, explain(error, self.backend)))

    def _send(self, message: Any) -> dict[str, Reply]:
        """Return the replies. Raise OSError if the connection ended before the text could leave."""
        self.mails += 1
        self._heard, self._has_spoken, self._texts = {}, False, 0
        recipients = [address for address in message.remaining_recipients if address.isascii()]
        email = rebuild(
            message.content, message.envelope_sender, recipients, message.provider_options, message.as_given
        )
        email.from_email = message.envelope_sender
        try:
            taken = self.backend.send_messages([email])
        except Exception as error:
            return self._replies_to(error, message)
        self.idle_since = time.monotonic()
        if taken is not None and not taken:
            text = SENT_NOTHING_RETURNED % {"backend": type(self.backend).__name__, "value": taken}
            return dict.fromkeys(recipients, Reply(Verdict.REFUSED, text))
        return self._replies_for(recipients, Reply(Verdict.ACCEPTED, HANDED_OVER))

    def _replies_to(self, error: Exception, message: Any) -> dict[str, Reply]:
        recipients = message.remaining_recipients
        if answers := smtp_answers(error):
            self._heard |= {address: reply for address, reply in answers.items() if address}
            return self._replies_for(recipients, self._refusal(list(answers.values())))
        # If we have not heard the backend, it may have a connection of its own.
        may_have_left = self._texts > 0 or not (self._has_spoken or is_not_sayable_here(error))
        if isinstance(error, OSError):  # smtplib's own are among them
            if not may_have_left:
                raise error
            text = f"{DOUBT} {explain(error, self.backend)}"
        else:
            logger.error("Message %s: the transport failed.", message.pk, exc_info=error)
            text = describe_doubt(error) if may_have_left else describe_own_fault(error)
        self.close()
        verdict = Verdict.UNKNOWN if may_have_left else verdict_of_own_fault(error)
        return self._replies_for(recipients, Reply(verdict, text))

    def _refusal(self, replies: list[Reply]) -> Reply:
        """Return what became of a message after these replies. Raise TransportUnavailable if one says so of the server.

        A backend may send a message more than once: what left before is not refused.
        """
        last = replies[-1]
        if self._texts > (last.command == "CONTENT"):
            return Reply(Verdict.UNKNOWN, last.text, last.command)
        if about_all := reply_about_all(replies):
            raise unavailable(self.server.name, about_all)
        return last

    def _replies_for(self, recipients: list[str], otherwise: Reply) -> dict[str, Reply]:
        """Return for each recipient the refusal of its address, and for the others what became of the whole message.

        The backend may have named other addresses than ours. If one of those was refused, then that is the reply for
        all of ours that it did not name.
        """
        refused = {address: reply for address, reply in self._heard.items() if reply.verdict != Verdict.ACCEPTED}
        others = [reply for address, reply in refused.items() if address not in recipients]
        of_unnamed = others[0] if others and otherwise.verdict == Verdict.ACCEPTED else otherwise
        return {
            address: refused.get(address, otherwise if address in self._heard else of_unnamed) for address in recipients
        }
