"""What the failure of any back end means: whether the message can have left, and what the other side has answered.

Every library has errors of its own. They are known by name, so that nobody needs a library whose provider they do not
use, and what no rule knows leaves a doubt: the message may have left.
"""

import re
import smtplib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from traceback import walk_tb
from typing import Any

from flasky.mail.transports.replies import Reply, Verdict

SHORTEST_PAUSE, LONGEST_PAUSE = 1, 3600  # s within which a Retry-After is obeyed

# No connection came about, or there was nobody to say who we are: the request did not leave.
NOT_REACHED = {
    "requests.exceptions.ConnectTimeout",
    "requests.exceptions.InvalidSchema",
    "requests.exceptions.InvalidURL",
    "requests.exceptions.MissingSchema",
    "urllib3.exceptions.ConnectTimeoutError",
    "urllib3.exceptions.LocationParseError",
    "urllib3.exceptions.NewConnectionError",  # an unknown name too
    "urllib3.exceptions.ProxyError",
    "botocore.exceptions.ConnectTimeoutError",
    "botocore.exceptions.CredentialRetrievalError",
    "botocore.exceptions.EndpointConnectionError",
    "botocore.exceptions.MetadataRetrievalError",
    "botocore.exceptions.NoCredentialsError",
    "botocore.exceptions.NoRegionError",
    "botocore.exceptions.PartialCredentialsError",
    "botocore.exceptions.ProxyConnectionError",
    "botocore.exceptions.SSOError",
    "botocore.exceptions.TokenRetrievalError",
    "httpx.ConnectError",
    "httpx.ConnectTimeout",
    "django.core.exceptions.ImproperlyConfigured",
}
# The message could not even be put into the provider's words.
NOT_SAYABLE = {
    "anymail.exceptions.AnymailInvalidAddress",
    "anymail.exceptions.AnymailSerializationError",
    "anymail.exceptions.AnymailUnsupportedFeature",
    "botocore.exceptions.ParamValidationError",
}
# Words in the answer that say more than its HTTP status.
WORDS = {
    # docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html, and CommonErrors.html: all with status 400
    "AccountSuspendedException": Verdict.UNAVAILABLE,
    "ExpiredTokenException": Verdict.UNAVAILABLE,
    "LimitExceededException": Verdict.UNAVAILABLE,
    "SendingPausedException": Verdict.UNAVAILABLE,
    "Throttling": Verdict.UNAVAILABLE,
    "ThrottlingException": Verdict.UNAVAILABLE,
    "TooManyRequestsException": Verdict.UNAVAILABLE,
    # mailchimp.com/developer/transactional/docs/error-glossary: Mandrill answers 500 to all that it does not do
    "Invalid_Key": Verdict.UNAVAILABLE,
    "PaymentRequired": Verdict.UNAVAILABLE,
    "ValidationError": Verdict.REFUSED,
    # apiv1.postalserver.io: Postal answers 200 to these
    "AccessDenied": Verdict.UNAVAILABLE,
    "InvalidServerAPIKey": Verdict.UNAVAILABLE,
    "ServerSuspended": Verdict.UNAVAILABLE,
    "NoContent": Verdict.REFUSED,
    "NoRecipients": Verdict.REFUSED,
    "UnauthenticatedFromAddress": Verdict.REFUSED,
}

NO_ENTRY = (401, 402, 403, 407)  # the key is wrong, or not paid for
TOO_MANY = 429
SERVICE_UNAVAILABLE = 503
LATER = (408, 425)  # it did not come in whole, or too early


@dataclass(frozen=True)
class Failure:
    verdict: Verdict
    text: str
    advice: str = ""
    retry_after: float | None = None  # s, as the other side wishes


def sort_failure(error: Exception, was_answered: bool) -> Failure:
    """Return what the failure of a back end means for the message, of which the provider may have said it has it."""
    verdict, pause = _verdict(error, was_answered), wanted_pause(error)
    return Failure(verdict, _text(error, was_answered), _advice(error, verdict), pause)


def _verdict(error: Exception, was_answered: bool) -> Verdict:
    status, names = status_of(error), {name for cause in _causes(error) for name in _names(cause)}
    if verdict := WORDS.get(_word(error)):
        return verdict
    if status is not None and status // 100 != 2:
        return _verdict_of_status(status, wanted_pause(error))
    if was_answered or status is not None:
        return Verdict.UNKNOWN  # they have it, whatever this says
    if names & NOT_SAYABLE or _is_anymails_no(error):
        return Verdict.REFUSED
    if names & NOT_REACHED or _did_not_connect(error):
        return Verdict.UNAVAILABLE
    if _is_before_sending(error):
        return Verdict.REFUSED if isinstance(error, (TypeError, ValueError)) else Verdict.POSTPONED
    return Verdict.UNKNOWN


def _verdict_of_status(status: int, pause: float | None) -> Verdict:
    """Sort an HTTP status (RFC 9110, section 15)."""
    if status in NO_ENTRY or status == TOO_MANY or (status == SERVICE_UNAVAILABLE and pause):
        return Verdict.UNAVAILABLE
    if status in LATER or status == SERVICE_UNAVAILABLE or status // 100 == 3:
        return Verdict.POSTPONED
    # Their program or their gateway failed after it had the request: perhaps behind the place where mail is taken.
    return Verdict.UNKNOWN if status >= 500 else Verdict.REFUSED


def _is_anymails_no(error: Exception) -> bool:
    """Tell whether Anymail itself objects, before it asks anybody."""
    names = _names(error)
    return "anymail.exceptions.AnymailError" in names and "anymail.exceptions.AnymailAPIError" not in names


def _is_before_sending(error: Exception) -> bool:
    """Tell whether Anymail's back end had not got as far as to the provider: a receiver of pre_send, the payload."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    is_inside = any(
        (frame.f_globals.get("__name__"), frame.f_code.co_name) == ("anymail.backends.base", "_send")
        for frame in frames
    )
    return is_inside and not any(frame.f_code.co_name == "post_to_esp" for frame in frames)


def _did_not_connect(error: Exception) -> bool:
    return any(
        isinstance(cause, (ConnectionRefusedError, socket.gaierror, smtplib.SMTPConnectError))
        or any(frame.f_code.co_name == "do_handshake" for frame, _ in walk_tb(cause.__traceback__))
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was made of; urllib3 and others name that in an argument or as `reason`."""
    waiting: list[Any] = [error]
    found: list[BaseException] = []
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and not any(cause is each for each in found):
            found.append(cause)
            yield cause
            waiting += [cause.__cause__, getattr(cause, "reason", None), *cause.args]
            # The context can be another matter: a first provider that was away. Only botocore translates with it.
            if type(cause).__module__.startswith("botocore."):
                waiting.append(cause.__context__)


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of the answer, if there was one."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # boto3's
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    return status if isinstance(status, int) and 100 <= status < 600 else None


def wanted_pause(error: Exception) -> float | None:
    """Return the seconds for which the answer wants no further request, by its Retry-After; None if it has none."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders") or {}
    else:
        headers = getattr(response, "headers", None) or {}
    return retry_after(str(headers.get("retry-after") or headers.get("Retry-After") or ""))


def retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After asks for (RFC 9110, section 10.2.3), within limits; None for nonsense."""
    value = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII):
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)


def _word(error: Exception) -> str:
    """Return the name that the answer gives to its refusal, if it has one."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    try:
        body = response.json() if response is not None else {}
    except (AttributeError, TypeError, ValueError):
        return ""
    if not isinstance(body, dict) or body.get("status") != "error":
        return ""
    inner = body.get("data")
    return str(body.get("name") or (inner.get("code", "") if isinstance(inner, dict) else ""))


def _text(error: Exception, was_answered: bool) -> str:
    said = " ".join(str(error).split())
    if "anymail.exceptions.AnymailError" not in _names(error):
        said = f"{type(error).__name__}{' after the answer' if was_answered else ''}: {said}"
    return re.sub(r" at 0x[0-9a-f]+", "", said)  # the same trouble is no news the next time


def _advice(error: Exception, verdict: Verdict) -> str:
    if verdict != Verdict.UNAVAILABLE:
        return ""
    status = status_of(error)
    if status in (TOO_MANY, SERVICE_UNAVAILABLE):
        return "It takes no mail at the moment."
    if status is None:
        return "It cannot be reached: look at the network, and at MAIL_TRANSPORT and its settings."
    return "Look at MAIL_TRANSPORT and its settings."


def smtp_answers(error: Exception) -> dict[str, Reply]:
    """Return the SMTP server's answers that the error brings: by recipient, or one for all under an empty name."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return {address: smtp_reply("RCPT", *answer) for address, answer in error.recipients.items()}
    if isinstance(error, smtplib.SMTPResponseException) and not isinstance(error, smtplib.SMTPConnectError):
        command = "CONTENT" if isinstance(error, smtplib.SMTPDataError) else "MAIL"
        reply = smtp_reply(command, error.smtp_code, error.smtp_error)
        if reply.verdict == Verdict.ACCEPTED:
            # To DATA, when nothing was handed over, or to the whole message: smtplib takes 250 only, and does not say.
            reply = Reply(Verdict.UNKNOWN, reply.text, reply.command)
        return {"": reply} if error.smtp_code > 0 or command == "CONTENT" else {}
    return {}


def smtp_reply(command: str, code: int, text: Any) -> Reply:
    return Reply.to(command, code, text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))
