"""Say in a plain sentence what went wrong with the relay, and which setting to look at."""

import smtplib
import socket
import ssl

from django.conf import settings

from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict


def explain(error: Exception) -> str:
    """Return what `error` means, with the setting to look at. Of our credentials it names the settings only."""
    host, port = settings.MAIL_SERVER, settings.MAIL_PORT
    server = f"{host} port {port}"
    match error:
        case smtplib.SMTPAuthenticationError():
            return (
                f"{server} refused the login: {_reply(error)}. Look at MAIL_USERNAME and MAIL_PASSWORD; "
                "many providers want a password made for applications."
            )
        case smtplib.SMTPNotSupportedError():
            wanted = "STARTTLS; look at MAIL_USE_TLS" if "STARTTLS" in str(error) else "a login; look at MAIL_USERNAME"
            return f"{server} does not offer {wanted} and MAIL_PORT (587 is usual for STARTTLS with login)."
        case smtplib.SMTPResponseException() if error.smtp_code < 200:
            return f"{server} does not speak SMTP. Look at MAIL_PORT."
        case smtplib.SMTPResponseException():
            return f"{server} answered {_reply(error)}."
        case smtplib.SMTPServerDisconnected() if "timed out" in str(error):
            return _timed_out(server)
        case smtplib.SMTPServerDisconnected():
            return (
                f"{server} closed the connection. If this happens every time, look at MAIL_PORT, and at MAIL_USE_SSL: "
                "a port that speaks TLS from the first byte (465) needs it."
            )
        case ssl.SSLCertVerificationError():
            return (
                f"The certificate of {server} is not trusted: {error.verify_message}. MAIL_SERVER must be the name in "
                "the certificate; if its authority is your own, name the file with it in SSL_CERT_FILE."
            )
        case ssl.SSLError() if settings.MAIL_USE_SSL:
            return (
                f"{server} does not speak TLS from the first byte ({_reason(error)}). Look at MAIL_USE_SSL: "
                "a port with STARTTLS (587) needs MAIL_USE_TLS instead."
            )
        case ssl.SSLError():
            return f"No encrypted connection to {server} came about ({_reason(error)}). Ask whoever runs the server."
        case socket.gaierror():
            return f"There is no host named {host} ({error.strerror}). Look at MAIL_SERVER."
        case TimeoutError():
            return _timed_out(server)
        case ConnectionRefusedError():
            return f"Nothing answers at {server} (connection refused). Look at MAIL_SERVER and MAIL_PORT."
        case UnicodeError():
            return "MAIL_SERVER, MAIL_USERNAME or MAIL_PASSWORD has a character that SMTP cannot carry: use ASCII only."
        case OSError():
            return f"{server} cannot be reached: {error.strerror or error}. Look at MAIL_SERVER and MAIL_PORT."
    return f"{type(error).__name__}: {error}"


def describe_end(error: Exception) -> str:
    """Return how a connection ended on which the server had spoken SMTP: the settings for connecting are right."""
    server = f"{settings.MAIL_SERVER} port {settings.MAIL_PORT}"
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return f"{server} did not answer in time. If this happens every time, MAIL_TIMEOUT may be too short for it."
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return f"{server} closed the connection. If this happens every time, ask whoever runs it."
    return str(error) if isinstance(error, TransportUnavailable) else explain(error)


def advise(reply: Reply) -> str:
    """Return the setting to look at after a refusal."""
    if reply.text.startswith(("503", "530", "535", "538", "454")):
        return "The relay wants a login or encryption: look at MAIL_USERNAME, MAIL_PASSWORD and MAIL_USE_TLS."
    if reply.verdict == Verdict.UNAVAILABLE and reply.command:
        return "It takes no mail at the moment."
    if reply.verdict == Verdict.POSTPONED:
        return "It may be accepted later."
    if reply.command == "MAIL":
        return "The relay does not take the sender: look at FLASKY_MAIL_SENDER."
    if reply.command == "RCPT":
        return "Look at the address; if it is right, the relay may want a login: MAIL_USERNAME and MAIL_PASSWORD."
    if reply.command in ("DATA", "CONTENT"):
        return "The relay does not take the content: look at FLASKY_MAIL_SENDER and at the templates."
    return "Look at MAIL_TRANSPORT and its settings."


def _timed_out(server: str) -> str:
    return (
        f"{server} did not answer within {settings.MAIL_TIMEOUT} s. Look at MAIL_SERVER and MAIL_PORT; a port that "
        "speaks TLS from the first byte (465) needs MAIL_USE_SSL; a slow server needs a larger MAIL_TIMEOUT."
    )


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "reason", None) or str(error)


def _reply(error: smtplib.SMTPResponseException) -> str:
    text = error.smtp_error
    return f"{error.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}".rstrip(".")
