"""Say in a plain sentence what went wrong with the relay, and which setting to look at.

In English, whatever the pages' language is: the sentences are logged and stored, as a record of what happened, by
processes that deliver and know no reader; and they quote the relay, which speaks English too.
"""

import smtplib
import socket
import ssl
from typing import Any

from django.utils.translation import gettext_noop as _

from flasky.mail.conf import conf
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict
from flasky.mail.transports.reply_table import Advice

# What the table knows better than the kind of error, of a greeting or a login.
SAID_BY_ROW = (
    *(Advice.QUOTA, Advice.BLOCKED, Advice.CROWDED),
    *(Advice.NO_PASSWORDS, Advice.SMTP_AUTH, Advice.GOOGLE_LOGIN, Advice.GREETING),
)
WANT_ENCRYPTION = (530, 538)  # RFC 3207, section 4; RFC 4954, section 6
TOKENS = {"XOAUTH2", "OAUTHBEARER"}
NAMED_IN_ADVICE = ("SERVER", "TRANSPORT", "USERNAME", "PASSWORD", "USE_TLS", "MAX_CONNECTIONS", "RATE", "EHLO_NAME")


def explain(error: Exception, backend: Any) -> str:
    """Return what the back end's `error` means, with the setting to look at. Credentials are named only."""
    server = _server(backend)
    match error:
        case smtplib.SMTPResponseException() if (said := _reply_before_mail(error)) and said.row.advice in SAID_BY_ROW:
            return f"{server} answered {said.text}. {advise(said)}"
        case smtplib.SMTPAuthenticationError() if error.smtp_code < 500:  # it could not look (RFC 4954, section 6)
            return f"{server} answered {_reply(error)} to the login. It is tried again by itself."
        case smtplib.SMTPAuthenticationError() if error.smtp_code in WANT_ENCRYPTION and not _is_encrypted(backend):
            return f"{server} refused the login: {_reply(error)}. Look at {_names('USE_TLS', 'PORT')}."
        case smtplib.SMTPAuthenticationError():
            return (
                f"{server} refused the login: {_reply(error)}. Look at {_names('USERNAME', 'PASSWORD')}; "
                "many providers want a password made for applications."
            )
        case smtplib.SMTPNotSupportedError():
            wanted, name = ("STARTTLS", "USE_TLS") if "STARTTLS" in str(error) else ("a login", "USERNAME")
            look = _names(name, "PORT") if _is_encrypted(backend) else _names("USE_TLS", name, "PORT")
            return f"{server} does not offer {wanted}; look at {look} (587 is usual for STARTTLS with login)."
        case smtplib.SMTPResponseException() if error.smtp_code < 200:
            return f"{server} does not speak SMTP. Look at {_names('PORT')}."
        case smtplib.SMTPResponseException():
            return f"{server} answered {_reply(error)}."
        case smtplib.SMTPServerDisconnected() if "timed out" in str(error):
            return _timed_out(server, backend)
        case smtplib.SMTPServerDisconnected():
            return (
                f"{server} closed the connection. If this happens every time, look at {_names('PORT')}, and at "
                f"{_names('USE_SSL')}: a port that speaks TLS from the first byte (465) needs it."
            )
        case ssl.SSLCertVerificationError():
            return (
                f"The certificate of {server} is not trusted: {error.verify_message}. {_names('SERVER')} must be "
                "the name in the certificate; if its authority is your own, name the file with it in SSL_CERT_FILE."
            )
        case ssl.SSLError() if getattr(backend, "use_ssl", conf.MAIL_USE_SSL):
            return (
                f"{server} does not speak TLS from the first byte ({_reason(error)}). Look at "
                f"{_names('USE_SSL')}: a port with STARTTLS (587) needs {_names('USE_TLS')} instead."
            )
        case ssl.SSLError():
            return f"No encrypted connection to {server} came about ({_reason(error)}). Ask whoever runs the server."
        case socket.gaierror():
            return f"There is no host named {_host(backend)} ({error.strerror}). Look at {_names('SERVER')}."
        case TimeoutError():
            return _timed_out(server, backend)
        case ConnectionRefusedError():
            return f"Nothing answers at {server} (connection refused). Look at {_names('SERVER', 'PORT')}."
        case UnicodeError():
            names = _names("SERVER", "USERNAME", "PASSWORD", joined_by="or")
            return f"{names} has a character that SMTP cannot carry: use ASCII only."
        case OSError():
            return f"{server} cannot be reached: {error.strerror or error}. Look at {_names('SERVER', 'PORT')}."
    return f"{type(error).__name__}: {error}"


def no_login(backend: Any, offered: list[str], has_starttls: bool) -> str:
    """Return why there is no way to log in among those that the server offers."""
    values = _named_in_advice() | {"server": _server(backend), "offered": ", ".join(offered)}
    if not offered and has_starttls and not (backend.use_tls or backend.use_ssl):
        return _("%(server)s offers no login before STARTTLS: set %(USE_TLS)s to True.") % values
    if not offered:
        return explain(smtplib.SMTPNotSupportedError("AUTH"), backend)
    if set(offered) <= TOKENS:
        return (
            _(
                "%(server)s wants a token for a login (%(offered)s); the password in %(PASSWORD)s is of no use there. "
                "Choose a relay that takes passwords (%(SERVER)s), a provider's API, or a back end of your own that "
                "logs %(USERNAME)s in with a token (%(TRANSPORT)s)."
            )
            % values
        )
    return (
        _(
            "%(server)s offers the login by %(offered)s, and of all there are only PLAIN, LOGIN and, where this "
            "machine has MD5, CRAM-MD5 are known here. Ask whoever runs it for PLAIN with TLS, or look at %(SERVER)s."
        )
        % values
    )


def describe_end(error: Exception, backend: Any) -> str:
    """Return how a connection ended on which the server had spoken SMTP: the settings for connecting are right."""
    server = _server(backend)
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return (
            f"{server} did not answer in time. If this happens every time, {_names('TIMEOUT')} may be too short for it."
        )
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return f"{server} closed the connection. If this happens every time, ask whoever runs it."
    return str(error) if isinstance(error, TransportUnavailable) else explain(error, backend)


def advise(reply: Reply) -> str:
    """Return what the table advises after a refusal, with the names that the project gives its settings."""
    advice = Advice.WAIT if reply.verdict == Verdict.POSTPONED and not reply.command else reply.row.advice
    return say(advice, "MAIL_USERNAME" if reply.command else "MAIL_TRANSPORT")


def say(advice: Advice, account: str) -> str:
    """Return the advice in a sentence; `account` is the setting that leads to the account."""
    values = _named_in_advice() | {"FROM": conf.source("FLASKY_MAIL_SENDER"), "ACCOUNT": conf.source(account)}
    return advice.value % values


def _named_in_advice() -> dict[str, str]:
    return {name: conf.source(f"MAIL_{name}") for name in NAMED_IN_ADVICE}


def unavailable(server: str, reply: Reply) -> TransportUnavailable:
    """Return the error for a reply by which no message is to blame."""
    sentence = f"{server} answered {reply.text.rstrip('.')}. {advise(reply)}"
    return TransportUnavailable(sentence, reply.is_crowded, is_about_account=reply.is_about_account)


def unavailable_before_mail(error: Exception, backend: Any) -> TransportUnavailable:
    """Return the error for a connection that did not come about."""
    reply = _reply_before_mail(error)
    return TransportUnavailable(
        explain(error, backend),
        is_crowded=bool(reply and reply.is_crowded),
        is_about_account=bool(reply and reply.is_about_account),
    )


def _reply_before_mail(error: Exception) -> Reply | None:
    if not isinstance(error, smtplib.SMTPResponseException):
        return None
    places = {
        smtplib.SMTPConnectError: "GREETING",
        smtplib.SMTPHeloError: "EHLO",
        smtplib.SMTPAuthenticationError: "AUTH",
    }
    return Reply(Verdict.UNAVAILABLE, _reply(error), places.get(type(error), "STARTTLS"))


def _is_encrypted(backend: Any) -> bool:
    return bool(getattr(backend, "use_tls", conf.MAIL_USE_TLS) or getattr(backend, "use_ssl", conf.MAIL_USE_SSL))


def _server(backend: Any) -> str:
    """Return whom the back end talks to; one that is not Django's may not say it."""
    return f"{_host(backend)} port {getattr(backend, 'port', conf.MAIL_PORT)}"


def _host(backend: Any) -> str:
    return getattr(backend, "host", conf.MAIL_SERVER)


def _names(*names: str, joined_by: str = "and") -> str:
    """Return the settings of the project that these have their values from."""
    *others, last = (conf.source(f"MAIL_{name}") for name in names)
    return f"{', '.join(others)} {joined_by} {last}" if others else last


def _timed_out(server: str, backend: Any) -> str:
    timeout = getattr(backend, "timeout", None) or conf.MAIL_TIMEOUT
    return (
        f"{server} did not answer within {timeout} s. Look at {_names('SERVER', 'PORT')}; a port that speaks TLS from "
        f"the first byte (465) needs {_names('USE_SSL')}; a slow server needs a larger {_names('TIMEOUT')}."
    )


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "reason", None) or str(error)


def _reply(error: smtplib.SMTPResponseException) -> str:
    text = error.smtp_error
    return f"{error.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}".rstrip(".")
