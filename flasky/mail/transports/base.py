"""What a transport is, and the one that hands messages to any Django e-mail backend."""

import contextlib
import logging
import smtplib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from anymail.exceptions import AnymailError
from django.conf import settings

from flasky.mail.replies import Reply, Verdict, provider_verdict
from flasky.mail.seats import TakenSeat
from flasky.mail.trouble import TransportUnavailable, advise, explain
from flasky.mail.wire import rebuild

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
        if getattr(backend, "fail_silently", False):
            backend.fail_silently = False  # whoever delivers must hear of it, or the mail is lost
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
