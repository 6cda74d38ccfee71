"""Sort the failure of any back end: whether the message can have left, and what the other side has answered.

Every library has errors of its own. They are known by name, so that nobody needs a library whose provider they do not
use, and what no rule knows leaves a doubt: the message may have left.
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any
from urllib.parse import urlsplit

from django.db import Error as DatabaseFailure

from flasky.mail.conf import conf
from flasky.mail.transports import sentences_of_providers as sentences
from flasky.mail.transports.answers import Answer, answer_of
from flasky.mail.transports.diagnosis import say
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.in_time import AnswerHasNoEnd, RequestWasCutShort
from flasky.mail.transports.replies import Reply, Verdict, verdict_of
from flasky.mail.transports.reply_table import Row, Scope, find_row_of_api

# No connection came about, or there was nobody to say who we are: the request did not leave.
NOT_REACHED = {
    "requests.exceptions.ConnectTimeout",
    "requests.exceptions.InvalidHeader",  # a key with an end of a line
    "requests.exceptions.InvalidProxyURL",
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
# What lacks, where the library's words do not name it.
LACKING = {
    "botocore.exceptions.NoCredentialsError": sentences.SET_KEYS_OR_ROLE,
    "botocore.exceptions.PartialCredentialsError": sentences.SET_KEYS,
    "botocore.exceptions.NoRegionError": sentences.SET_REGION,
}
NO_URL = {"InvalidSchema", "InvalidURL", "MissingSchema", "LocationParseError"}
TOO_SLOW = {"ConnectTimeout", "ConnectTimeoutError", "ReadTimeout", "ReadTimeoutError"}
IN_PART = {"IncompleteRead", "IncompleteReadError", "ChunkedEncodingError", "ResponseStreamingError"}
SERVICE_UNAVAILABLE = 503


@dataclass(frozen=True)
class Failure:
    verdict: Verdict
    text: str
    advice: str
    retry_after: float | None = None  # s, as the other side wishes
    row: Row | None = None  # of the table, if there was an answer

    @property
    def is_about_account(self) -> bool:
        return self.row is not None and self.row.scope == Scope.ACCOUNT

    @property
    def is_crowded(self) -> bool:
        """Tell whether fewer connections may help; a pause that is asked for helps better."""
        return self.row is not None and self.row.scope == Scope.CONNECTION and self.retry_after is None

    def as_error(self) -> TransportUnavailable:
        """Return the error for a failure by which no message is to blame."""
        sentence = f"{self.text.rstrip('.')}. {self.advice}"
        return TransportUnavailable(sentence, self.is_crowded, self.retry_after, self.is_about_account)


def sort_failure(error: Exception, backend: Any, response: Any = None) -> Failure:
    """Return what the failure of a back end means for the message; `response`: that by which it has been taken."""
    who = getattr(backend, "esp_name", "") or "The provider"
    if answer := answer_of(getattr(error, "response", None), getattr(error, "status_code", None)):
        row = find_row_of_api(answer.status, answer.name, answer.text)
        text = _text_of_answer(error, who, answer)
        return Failure(_verdict_of_answer(row, answer), text, say(row.advice, "MAIL_TRANSPORT"), answer.pause, row)
    if response is not None:  # they have it
        answer = answer_of(response)
        text = _unreadable(who, answer) if answer else describe_doubt(error)
        return Failure(Verdict.UNKNOWN, text, _advice_without_answer(error))
    verdict = _verdict(error)
    return Failure(verdict, _text_without_answer(error, verdict, backend, who), _advice_without_answer(error))


def _verdict_of_answer(row: Row, answer: Answer) -> Verdict:
    verdict = verdict_of(row)
    if row.enhanced or (row.text and not answer.is_yes):
        return verdict
    if answer.status == SERVICE_UNAVAILABLE:
        return Verdict.UNAVAILABLE if answer.pause else Verdict.POSTPONED
    # They have it, whatever this says; or their program or gateway failed after it had the request: perhaps behind the
    # place where mail is taken.
    return Verdict.UNKNOWN if answer.is_yes or answer.status >= 500 else verdict


def _text_of_answer(error: Exception, who: str, answer: Answer) -> str:
    """Return the answer, behind what the back end has to say about it."""
    if answer.is_yes and not answer.name:
        said = _unreadable(who, answer)
    else:
        named = f"{answer.status}" if answer.name in answer.text else f"{answer.status} {answer.name}"
        sentence = sentences.ANSWERED if answer.text else sentences.ANSWERED_NO_MORE
        said = sentence % {"who": who, "answer": named, "text": answer.text}
    is_boto3s = isinstance(getattr(error, "response", None), dict)  # its words are the answer's
    words = _words(error) if _is_anymails(error) and error.args and not is_boto3s else ""
    return f"{words}. {said}" if words else said


def _unreadable(who: str, answer: Answer) -> str:
    sentence = sentences.UNREADABLE if answer.text else sentences.UNREADABLE_EMPTY
    return sentence % {"who": who, "answer": answer.status, "text": answer.text}


def _verdict(error: Exception) -> Verdict:
    """Sort a failure that brings no answer."""
    names = {name for cause in _causes(error) for name in _names(cause)}
    if names & NOT_SAYABLE or _is_anymails_no(error):
        return Verdict.REFUSED
    if names & NOT_REACHED or _did_not_connect(error):
        return Verdict.UNAVAILABLE
    if _find(error, RequestWasCutShort):
        return Verdict.POSTPONED
    if _is_before_sending(error):
        return verdict_of_own_fault(error)
    return Verdict.REFUSED if is_not_sayable_here(error) else Verdict.UNKNOWN


def _text_without_answer(error: Exception, verdict: Verdict, backend: Any, who: str) -> str:
    if verdict == Verdict.UNAVAILABLE:
        return _why_unreachable(error, backend, who)
    if _find(error, RequestWasCutShort):
        values = {"who": who, "seconds": conf.MAIL_TIMEOUT, "TIMEOUT": conf.source("MAIL_TIMEOUT")}
        return sentences.CUT_SHORT % values
    if verdict == Verdict.UNKNOWN:
        return _why_unknown(error, who)
    return _words(error) if _is_anymails(error) else describe_own_fault(error)


def _why_unreachable(error: Exception, backend: Any, who: str) -> str:
    url = _url(backend)
    where = urlsplit(url).netloc.rpartition("@")[2] if "//" in url else ""
    place, kinds = sentences.AT % {"who": who, "host": where} if where else who, _kinds(error)
    if kinds & NO_URL:
        return sentences.NO_URL % {"url": repr(url), "who": who}
    if "InvalidHeader" in kinds:
        return sentences.BROKEN_KEY % {"who": who}
    if kinds & {"ProxyError", "ProxyConnectionError", "InvalidProxyURL"}:
        return sentences.NO_PROXY % {"who": who}
    if _find(error, socket.gaierror):
        return sentences.NO_HOST % {"host": urlsplit(url).hostname or where or who}
    if _find(error, ConnectionRefusedError):
        return sentences.NOBODY % {"host": where or who}
    if untrusted := _find(error, ssl.SSLCertVerificationError):
        return sentences.NOT_TRUSTED % {"who": place, "error": untrusted.verify_message}
    if broken := _find(error, ssl.SSLError):
        return sentences.NO_TLS % {"who": place, "error": getattr(broken, "reason", None) or "no TLS"}
    if failed := next((each for each in _causes(error) if isinstance(each, OSError) and each.strerror), None):
        return sentences.NO_CONNECTION % {"who": place, "error": failed.strerror}
    if kinds & TOO_SLOW or _find(error, TimeoutError):
        return sentences.SILENT % {"who": place, "seconds": conf.MAIL_TIMEOUT}
    return _words(error)


def _url(backend: Any) -> str:
    """Return where a back end of Anymail sends its requests."""
    meta = getattr(getattr(backend, "client", None), "meta", None)
    return str(getattr(backend, "api_url", "") or getattr(meta, "endpoint_url", "") or "")


def _why_unknown(error: Exception, who: str) -> str:
    kinds = _kinds(error)
    if kinds & TOO_SLOW or _find(error, TimeoutError):
        return sentences.DOUBT_SILENT % {"who": who, "seconds": conf.MAIL_TIMEOUT}
    if _find(error, AnswerHasNoEnd):
        return sentences.DOUBT_ENDLESS % {"who": who}
    if kinds & IN_PART:
        return sentences.DOUBT_IN_PART % {"who": who}
    if _find(error, ConnectionError) or "ConnectionClosedError" in kinds:
        return sentences.DOUBT_CLOSED % {"who": who}
    if kinds & {"ConnectionError", "ProtocolError", "HTTPClientError"}:
        return sentences.DOUBT_NO_HTTP % {"who": who}
    return describe_doubt(error)


def verdict_of_own_fault(error: Exception) -> Verdict:
    """Sort what this machine, or the code on it, did wrong before anything could leave.

    What is known to pass is tried again; a character or a charset that cannot be had, a library that is not there or a
    mistake in somebody's code is the same in five days, unless a person has mended it and queues the mail again.
    """
    return Verdict.POSTPONED if is_transient(error) else Verdict.REFUSED


def is_transient(error: Exception) -> bool:
    """Tell whether it passes by itself: the network, a full disk, too little memory, the database, too many threads."""
    return isinstance(error, (OSError, MemoryError, DatabaseFailure)) or "can't start new thread" in str(error)


def is_not_sayable_here(error: Exception) -> bool:
    """Tell whether the error by its kind says that the message could not be written, whoever was to write it."""
    is_about_charset = type(error) is LookupError  # a KeyError may come from the reading of an answer
    return is_about_charset or isinstance(error, (UnicodeEncodeError, ImportError, NotImplementedError))


def describe_own_fault(error: Exception) -> str:
    values = {"kind": type(error).__name__, "error": _words(error)}
    if is_transient(error):
        return sentences.NOT_NOW % values
    if isinstance(error, UnicodeEncodeError):
        return sentences.NOT_WRITABLE % values
    return sentences.NOT_AT_ALL % values


def describe_doubt(error: Exception) -> str:
    return sentences.DOUBT_FAILED % {"kind": type(error).__name__, "error": _words(error)}


def _is_anymails_no(error: Exception) -> bool:
    """Tell whether Anymail itself objects, before it asks anybody."""
    names = _names(error)
    return "anymail.exceptions.AnymailError" in names and "anymail.exceptions.AnymailAPIError" not in names


def _is_before_sending(error: Exception) -> bool:
    """Tell whether Anymail's back end had not got as far as to the provider: a receiver of pre_send, the payload."""
    frames = [frame for frame, _line in walk_tb(error.__traceback__)]
    is_inside = any(
        (frame.f_globals.get("__name__"), frame.f_code.co_name) == ("anymail.backends.base", "_send")
        for frame in frames
    )
    return is_inside and not any(frame.f_code.co_name == "post_to_esp" for frame in frames)


def _did_not_connect(error: Exception) -> bool:
    return any(
        isinstance(cause, (ConnectionRefusedError, socket.gaierror, smtplib.SMTPConnectError))
        or any(frame.f_code.co_name == "do_handshake" for frame, _line in walk_tb(cause.__traceback__))
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


def _kinds(error: Exception) -> set[str]:
    return {kind.__name__ for cause in _causes(error) for kind in type(cause).__mro__}


def _find(error: Exception, kind: Any) -> Any:
    return next((cause for cause in _causes(error) if isinstance(cause, kind)), None)


def _is_anymails(error: Exception) -> bool:
    return "anymail.exceptions.AnymailError" in _names(error)


def _words(error: Exception) -> str:
    """Return what the error says, without the name of its kind, which is a programmer's."""
    said = " ".join(map(str, error.args)) if _is_anymails(error) and error.args else str(error)
    return " ".join(said.split()).rstrip(".")


def _advice_without_answer(error: Exception) -> str:
    names = {name for cause in _causes(error) for name in _names(cause)}
    if lacking := next((LACKING[name] for name in names if name in LACKING), ""):
        return lacking
    return sentences.LOOK_AT_NETWORK % {"TRANSPORT": conf.source("MAIL_TRANSPORT")}


def why_not_opened(error: Exception) -> str:
    """Return why a back end could not even be made ready."""
    said = f"{type(error).__name__}: {_words(error)}"
    advice = next((LACKING[name] for name in _names(error) if name in LACKING), "")
    look = sentences.LOOK_AT_SETTINGS % {"TRANSPORT": conf.source("MAIL_TRANSPORT")}
    return f"{sentences.NOT_OPENED % {'path': conf.MAIL_TRANSPORT, 'error': said}} {advice or look}"


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
