"""What a transport is, and the one that hands messages to any Django e-mail backend."""

import contextlib
import logging
import smtplib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from flasky.mail.limits.connections import TakenSeat
from flasky.mail.transports.diagnosis import advise, explain
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.failures import smtp_answers, sort_failure
from flasky.mail.transports.providers import ask_once_and_in_time, leave_out_what_is_refused
from flasky.mail.transports.replies import Reply, Verdict
from flasky.mail.wire.rebuild import rebuild

logger = logging.getLogger(__name__)

KEEP_IDLE = 30  # s until a kept connection is closed
KEEP_SEAT = 5  # s, if others wait for it
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
        self.seat: TakenSeat | None = None  # if the number of connections is limited
        self.pace = 1.0  # s for a message, as lately measured by whoever delivers

    @property
    def server(self) -> Server:
        return Server(settings.MAIL_TRANSPORT)

    def open(self) -> None:
        """Connect, if that is not done yet. Raise TransportUnavailable."""
        try:
            self._connect()
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            self.close()
            raise TransportUnavailable(explain(error), getattr(error, "smtp_code", 0) == CROWDED) from error
        except Exception as error:  # every library has errors of its own
            self.close()
            reason = f"{settings.MAIL_TRANSPORT} cannot be opened: {type(error).__name__}: {error}"
            raise TransportUnavailable(f"{reason}. Look at MAIL_TRANSPORT and its settings.") from error

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
        keep_idle = KEEP_SEAT if self.seat else KEEP_IDLE
        return self.mails >= KEEP_MAILS or time.monotonic() - self.idle_since > keep_idle

    @property
    def must_leave(self) -> bool:
        return self.seat is not None and self.seat.must_leave

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
            self.close()
            text = f"{type(error).__name__}: {error}"
            return dict.fromkeys(message.remaining_recipients, Reply(Verdict.POSTPONED, text))

    def deliver(self, message: Any, following: Any = None) -> dict[str, Reply]:
        """Hand over one message and return the reply for each of its remaining recipients.

        Of the `following` one, if it is known, a transport may say the envelope. Raise TransportUnavailable.
        """
        self.mails += 1
        recipients = message.remaining_recipients
        email = rebuild(message.content, message.envelope_sender, recipients, message.provider_options)
        leave_out_what_is_refused(email, self.backend)
        try:
            taken = self.backend.send_messages([email])
        except Exception as error:
            return self._replies_after(error, email, message)
        if taken is not None and not taken:
            text = f"{type(self.backend).__name__} sent nothing; perhaps a receiver of pre_send cancelled it."
            return _provider_replies(email, recipients, Reply(Verdict.REFUSED, text))
        return _provider_replies(email, recipients, Reply(Verdict.ACCEPTED, "handed over"))

    def _replies_after(self, error: Exception, email: Any, message: Any) -> dict[str, Reply]:
        """Return what the error means for each recipient. Raise TransportUnavailable if no message is to blame."""
        recipients = message.remaining_recipients
        if answers := smtp_answers(error):  # of a back end that has one of Django's inside
            *_, last = answers.values()
            for reply in answers.values():
                if reply.verdict == Verdict.UNAVAILABLE:
                    raise TransportUnavailable(f"The server answered {reply.text}. {advise(reply)}") from error
            return {address: answers.get(address, last) for address in recipients}
        failure = sort_failure(error, _was_answered(email))
        if failure.verdict == Verdict.UNAVAILABLE and not (_was_answered(email) and email.anymail_status.recipients):
            sentence = f"{failure.text.rstrip('.')}. {failure.advice}"
            raise TransportUnavailable(sentence, retry_after=failure.retry_after) from error
        if failure.verdict == Verdict.UNKNOWN:
            logger.warning("Message %s: nobody knows whether it was handed over.", message.pk, exc_info=error)
        self.close()
        return _provider_replies(email, recipients, Reply(failure.verdict, failure.text))


def _provider_replies(email: Any, recipients: list[str], otherwise: Reply) -> dict[str, Reply]:
    """Return what Anymail recorded for each recipient, whatever failed afterwards; `otherwise` where it is silent."""
    if not _was_answered(email):
        return dict.fromkeys(recipients, otherwise)
    said = {address.lower(): status for address, status in email.anymail_status.recipients.items() if status.status}
    return {
        address: _reply(said[address.lower()], email) if address.lower() in said else otherwise
        for address in recipients
    }


def _reply(said: Any, email: Any) -> Reply:
    text = f"{said.status}, id {said.message_id}"
    if said.status == "unknown" and not said.message_id:  # Anymail found nothing about it in the answer
        return Reply(Verdict.UNKNOWN, text)
    if said.status not in ("invalid", "rejected", "failed"):
        return Reply(Verdict.ACCEPTED, text)
    reason = getattr(email.anymail_status.esp_response, "text", None)
    return Reply(Verdict.REFUSED, f"{text}: {' '.join(reason.split())}" if isinstance(reason, str) and reason else text)


def _was_answered(email: Any) -> bool:
    status = getattr(email, "anymail_status", None)
    return status is not None and status.esp_response is not None
