"""Say in a plain sentence what went wrong with the relay, and which setting to look at.

In English, whatever the pages' language is: the sentences are logged and stored, as a record of what happened, by
processes that deliver and know no reader. A page that shows one says it in its reader's language.
"""

import smtplib
import socket
import ssl
from typing import Any

from flasky.mail.conf import conf
from flasky.mail.transports import sentences
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict
from flasky.mail.transports.replies_in_time import LONGEST_REPLY, TOO_LONG
from flasky.mail.transports.reply_table import Advice

# What the table knows better than the kind of error, of a greeting or a login.
SAID_BY_ROW = (
    *(Advice.QUOTA, Advice.BLOCKED, Advice.CROWDED),
    *(Advice.NO_PASSWORDS, Advice.SMTP_AUTH, Advice.GOOGLE_LOGIN, Advice.GREETING),
)
WANT_ENCRYPTION = (530, 538)  # RFC 3207, section 4; RFC 4954, section 6
CONTENT_TIMEOUT = 10  # times MAIL_TIMEOUT for the reply to the whole message, see _hand_over in smtp.py
TOKENS = {"XOAUTH2", "OAUTHBEARER"}
NAMED_IN_ADVICE = (
    *("SERVER", "PORT", "TRANSPORT", "USERNAME", "PASSWORD", "USE_TLS", "USE_SSL", "TIMEOUT"),
    *("MAX_CONNECTIONS", "RATE", "EHLO_NAME"),
)


def explain(error: Exception, backend: Any) -> str:
    """Return what the back end's `error` means, with the setting to look at. Credentials are named only."""
    place = getattr(error, "place", "")
    match error:
        case smtplib.SMTPAuthenticationError() | smtplib.SMTPNotSupportedError():
            return _explain_login(error, backend)
        case smtplib.SMTPResponseException() if error.smtp_code < 200:
            return _sentence(sentences.NOT_SMTP, backend)
        case smtplib.SMTPResponseException():
            return _explain_reply(error, backend)
        case smtplib.SMTPServerDisconnected() if "timed out" in str(error):
            return _silent(place, backend)
        case smtplib.SMTPServerDisconnected() if TOO_LONG in str(error):
            return _sentence(sentences.ENDLESS, backend, most=f"{LONGEST_REPLY:,}")
        case smtplib.SMTPServerDisconnected():
            return _hung_up(place, backend)
        case ssl.SSLCertVerificationError():
            return _sentence(sentences.NOT_TRUSTED, backend, error=error.verify_message)
        case ssl.SSLError():
            sentence = sentences.NO_TLS_AT_ONCE if _uses_ssl(backend) else sentences.NO_TLS
            return _sentence(sentence, backend, error=getattr(error, "reason", None) or str(error))
        case socket.gaierror():
            return _sentence(sentences.NO_HOST, backend, error=error.strerror)
        case TimeoutError() if "handshake" in str(error):
            return _silent("GREETING", backend)
        case TimeoutError():
            return _silent(place, backend) if place else _sentence(sentences.NO_CONNECTION, backend)
        case ConnectionRefusedError():
            return _sentence(sentences.NOBODY, backend)
        case UnicodeError():
            return _sentence(sentences.NOT_ASCII, backend)
        case ConnectionError() if place:
            return _hung_up(place, backend)
        case OSError():
            return _sentence(sentences.UNREACHABLE, backend, error=error.strerror or error)
    return f"{type(error).__name__}: {error}"


def describe_end(error: Exception, backend: Any, place: str) -> str:
    """Return how a connection ended at this command, or while the TEXT left, or when the reply to it was waited for.

    The server had spoken SMTP: the settings for connecting are right.
    """
    if isinstance(error, TransportUnavailable):
        return str(error)
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return _silent(place, backend)
    if TOO_LONG in str(error):
        return explain(error, backend)
    if isinstance(error, (smtplib.SMTPServerDisconnected, ConnectionError)):
        return _hung_up(place, backend)
    return explain(error, backend)


def _hung_up(place: str, backend: Any) -> str:
    return _sentence(sentences.HUNG_UP_AT.get(_in_tls(place, backend), sentences.HUNG_UP), backend)


def _silent(place: str, backend: Any) -> str:
    seconds = _timeout(backend) * (CONTENT_TIMEOUT if place == "CONTENT" else 1)
    sentence = sentences.SILENT_AT.get(_in_tls(place, backend), sentences.SILENT)
    return _sentence(sentence, backend, seconds=seconds)


def _in_tls(place: str, backend: Any) -> str:
    return f"{place} in TLS" if place == "GREETING" and _uses_ssl(backend) else place


def _explain_login(error: Exception, backend: Any) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        if said := _known_reply(error):
            return f"{_sentence(sentences.ANSWERED, backend, reply=said.text)} {advise(said)}"
        if error.smtp_code < 500:  # it could not look (RFC 4954, section 6)
            return _sentence(sentences.LOGIN_POSTPONED, backend, reply=_reply(error))
        wants_tls = error.smtp_code in WANT_ENCRYPTION and not _is_encrypted(backend)
        sentence = sentences.LOGIN_WANTS_TLS if wants_tls else sentences.LOGIN_REFUSED
        return _sentence(sentence, backend, reply=_reply(error))
    if "STARTTLS" in str(error):
        return _sentence(sentences.NO_STARTTLS, backend)
    return _sentence(sentences.NO_LOGIN if _is_encrypted(backend) else sentences.NO_LOGIN_IN_THE_CLEAR, backend)


def _explain_reply(error: smtplib.SMTPResponseException, backend: Any) -> str:
    """Return what the server said instead of going on, and what the table advises."""
    said = _reply_before_mail(error)
    sentence = sentences.ANSWERED_AT.get(said.command, sentences.ANSWERED)
    return f"{_sentence(sentence, backend, reply=said.text)} {advise(said)}"


def _known_reply(error: smtplib.SMTPResponseException) -> Reply | None:
    """Return the reply if the table knows more of it than that it is one to a login."""
    said = _reply_before_mail(error)
    return said if said.row.advice in SAID_BY_ROW else None


def no_login(backend: Any, offered: list[str], has_starttls: bool) -> str:
    """Return why there is no way to log in among those that the server offers."""
    if not offered and has_starttls and not _is_encrypted(backend):
        return _sentence(sentences.NO_LOGIN_BEFORE_STARTTLS, backend)
    if not offered:
        return explain(smtplib.SMTPNotSupportedError("AUTH"), backend)
    sentence = sentences.WANTS_TOKEN if set(offered) <= TOKENS else sentences.NO_LOGIN_IN_COMMON
    return _sentence(sentence, backend, offered=", ".join(offered))


def _sentence(sentence: str, backend: Any, **values: Any) -> str:
    """Return the sentence with the names of the project's settings, and whom the back end talks to."""
    of_backend = {"server": _server(backend), "host": _host(backend), "seconds": _timeout(backend)}
    return sentence % (_named_in_advice() | of_backend | values)


def advise(reply: Reply) -> str:
    """Return what the table advises after a refusal, with the names that the project gives its settings."""
    advice = Advice.WAIT if reply.verdict == Verdict.POSTPONED and not reply.command else reply.row.advice
    return say(advice, "MAIL_USERNAME" if reply.command else "MAIL_TRANSPORT")


def say(advice: Advice, account: str) -> str:
    """Return the advice in a sentence; `account` is the setting that leads to the account."""
    return advice.value % (_named_in_advice() | {"ACCOUNT": conf.source(account)})


def _named_in_advice() -> dict[str, str]:
    names = {name: conf.source(f"MAIL_{name}") for name in NAMED_IN_ADVICE}
    return names | {"FROM": conf.source("FLASKY_MAIL_SENDER")}


def unavailable(server: str, reply: Reply) -> TransportUnavailable:
    """Return the error for a reply by which no message is to blame."""
    answered = sentences.ANSWERED % {"server": server, "reply": reply.text.rstrip(".")}
    sentence = f"{answered} {advise(reply)}"
    return TransportUnavailable(sentence, reply.is_crowded, is_about_account=reply.is_about_account)


def unavailable_before_mail(error: Exception, backend: Any) -> TransportUnavailable:
    """Return the error for a connection that did not come about."""
    reply = _reply_before_mail(error) if isinstance(error, smtplib.SMTPResponseException) else None
    return TransportUnavailable(
        explain(error, backend),
        is_crowded=bool(reply and reply.is_crowded),
        is_about_account=bool(reply and reply.is_about_account),
    )


def _reply_before_mail(error: smtplib.SMTPResponseException) -> Reply:
    places = {
        smtplib.SMTPConnectError: "GREETING",
        smtplib.SMTPHeloError: "EHLO",
        smtplib.SMTPAuthenticationError: "AUTH",
    }
    return Reply(Verdict.UNAVAILABLE, _reply(error), places.get(type(error), "STARTTLS"))


def _is_encrypted(backend: Any) -> bool:
    return bool(getattr(backend, "use_tls", conf.MAIL_USE_TLS)) or _uses_ssl(backend)


def _uses_ssl(backend: Any) -> bool:
    return bool(getattr(backend, "use_ssl", conf.MAIL_USE_SSL))


def _timeout(backend: Any) -> float:
    return getattr(backend, "timeout", None) or conf.MAIL_TIMEOUT


def _server(backend: Any) -> str:
    """Return whom the back end talks to; one that is not Django's may not say it."""
    return f"{_host(backend)} port {getattr(backend, 'port', conf.MAIL_PORT)}"


def _host(backend: Any) -> str:
    return getattr(backend, "host", conf.MAIL_SERVER)


def _reply(error: smtplib.SMTPResponseException) -> str:
    text = error.smtp_error
    return f"{error.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}".rstrip(".")
