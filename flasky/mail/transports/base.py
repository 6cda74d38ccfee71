"""Hand messages to any Django e-mail backend, which is also the contract of every transport."""

import contextlib
import logging
import smtplib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.mail.backends.console import EmailBackend as ConsoleEmailBackend

from flasky.mail.conf import conf
from flasky.mail.limits.connections import TakenSlot
from flasky.mail.transports.diagnosis import unavailable, unavailable_before_mail
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.failures import (
    describe_own_fault,
    smtp_answers,
    sort_failure,
    verdict_of_own_fault,
    why_not_opened,
)
from flasky.mail.transports.providers import ask_once_and_in_time, fit_to_provider
from flasky.mail.transports.replies import Reply, Verdict, reply_about_all
from flasky.mail.transports.reply_table import Advice
from flasky.mail.transports.sentences import HANDED_OVER
from flasky.mail.transports.sentences_of_providers import SENT_NOTHING
from flasky.mail.transports.statuses import provider_replies, was_answered
from flasky.mail.wire.rebuild import rebuild

logger = logging.getLogger(__name__)

KEEP_IDLE = 30  # s until a kept connection is closed
KEEP_SLOT = 5  # s, if others wait for it
CROWDED = 421  # service not available, closing the channel (RFC 5321, section 4.2.3)
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
        # Whoever delivers must hear of a failure, or the mail is lost. The class's own attribute is deprecated.
        if getattr(backend, "__dict__", {}).get("fail_silently"):
            backend.fail_silently = False
        ask_once_and_in_time(backend)
        self.mails = 0
        self.idle_since = time.monotonic()
        self.aborted = False
        self.slot: TakenSlot | None = None  # if the number of connections is limited
        self.pace = 1.0  # s for a message, as lately measured by whoever delivers

    @property
    def server(self) -> Server:
        return Server(conf.MAIL_TRANSPORT)

    def open(self) -> None:
        """Connect, if that is not done yet. Raise TransportUnavailable."""
        try:
            self._connect()
        except TransportUnavailable:
            self.close()
            raise
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            self.close()
            raise unavailable_before_mail(error, self.backend) from error
        except Exception as error:  # every library has errors of its own
            self.close()
            raise TransportUnavailable(why_not_opened(error)) from error

    def _connect(self) -> bool:
        """Return whether that was not done yet."""
        is_new = bool(self.backend.open())
        if is_new:
            self.idle_since = time.monotonic()
        return is_new

    def close(self) -> None:
        # Whatever goes wrong while hanging up, and each library has errors of its own: the mails before were answered.
        with contextlib.suppress(Exception):
            self.backend.close()

    def abort(self) -> None:
        """Cut the connection while another thread uses it, if it has one that can be cut."""
        self.aborted = True

    def is_worn(self) -> bool:
        keep_idle = KEEP_SLOT if self.slot else KEEP_IDLE
        return self.mails >= self.keep_mails or time.monotonic() - self.idle_since > keep_idle

    @property
    def keep_mails(self) -> int:
        """Return after how many mails a connection is renewed."""
        return KEEP_MAILS

    def note_pace(self, seconds: float) -> None:
        """Note how long each message took of those that were just delivered."""
        self.pace = seconds
        if self.slot:
            self.slot.has_delivered = True

    @property
    def must_leave(self) -> bool:
        return self.slot is not None and self.slot.must_leave

    def deliver_each(self, messages: Sequence[Any]) -> Iterator[dict[str, Reply]]:
        """Hand over outbox messages one by one, in their order, and yield the replies to each.

        Nothing of a message's text leaves before its turn: before the caller, who has recorded the replies to the one
        before, comes back. Raise TransportUnavailable if nobody's mail is taken now; the message whose turn it was, and
        those after it, were not touched then.
        """
        for message, following in zip(messages, [*messages[1:], None], strict=True):
            yield self._deliver_whatever_happens(message, following)

    def _deliver_whatever_happens(self, message: Any, following: Any) -> dict[str, Reply]:
        try:
            return self.deliver(message, following)
        except TransportUnavailable:
            raise
        except Exception as error:  # whatever one message provokes, the others must go on
            logger.exception("Message %s could not be handed over.", message.pk)
            verdict = Verdict.UNKNOWN if self.may_have_left else verdict_of_own_fault(error)
            self.close()
            return dict.fromkeys(message.remaining_recipients, Reply(verdict, describe_own_fault(error)))

    @property
    def may_have_left(self) -> bool:
        """Tell whether the message's text was on its way when something unexpected happened."""
        return False

    def deliver(self, message: Any, following: Any = None) -> dict[str, Reply]:
        """Hand over one message and return the reply for each of its remaining recipients.

        Of the `following` one, if it is known, a transport may say the envelope. Raise TransportUnavailable.
        """
        self.mails += 1
        recipients = message.remaining_recipients
        email = rebuild(
            message.content, message.envelope_sender, recipients, message.provider_options, message.as_given
        )
        try:
            fit_to_provider(email, self.backend, message.pk)
            taken = self.backend.send_messages([email])
        except Exception as error:
            return self._replies_after(error, email, message)
        if taken is not None and not taken:
            text = SENT_NOTHING % {"backend": type(self.backend).__name__}
            return provider_replies(email, recipients, Reply(Verdict.REFUSED, text), self.backend)
        return provider_replies(email, recipients, Reply(Verdict.ACCEPTED, HANDED_OVER), self.backend)

    def _replies_after(self, error: Exception, email: Any, message: Any) -> dict[str, Reply]:
        """Return what the error means for each recipient. Raise TransportUnavailable if no message is to blame."""
        recipients = message.remaining_recipients
        if isinstance(self.backend, ConsoleEmailBackend):  # of which the file's is one: nothing leaves this machine
            return dict.fromkeys(recipients, Reply(verdict_of_own_fault(error), describe_own_fault(error)))
        if answers := smtp_answers(error):  # of a back end that has one of Django's inside
            *_, last = answers.values()
            if about_all := reply_about_all(answers.values()):
                raise unavailable("The server", about_all) from error
            return {address: answers.get(address, last) for address in recipients}
        failure = sort_failure(error, self.backend, email.anymail_status.esp_response if was_answered(email) else None)
        if failure.verdict == Verdict.UNAVAILABLE and not (was_answered(email) and email.anymail_status.recipients):
            raise failure.as_error() from error
        if failure.verdict == Verdict.UNKNOWN:
            logger.warning("Message %s: nobody knows whether it was handed over.", message.pk, exc_info=error)
        self.close()
        if failure.row and failure.row.advice == Advice.REPEATED and message.possible_duplicate:
            # Its key was used before, by a try whose end nobody knew: now it is known.
            return dict.fromkeys(recipients, Reply(Verdict.ACCEPTED, f"{failure.text.rstrip('.')}. {failure.advice}"))
        otherwise = Reply(failure.verdict, failure.text, sorted_as=failure.row)
        return provider_replies(email, recipients, otherwise, self.backend)
