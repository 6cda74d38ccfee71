"""Log in to an SMTP server (RFC 4954) in one of the ways that it offers and this machine has.

smtplib's own login sends ASCII only, and fails where OpenSSL has no MD5, as in FIPS mode, if CRAM-MD5 is offered.
"""

import binascii
import hmac
import smtplib
from base64 import b64decode, b64encode
from typing import Any

from flasky.mail.transports.diagnosis import no_login
from flasky.mail.transports.errors import TransportUnavailable

GO_ON, WELCOME, BAD_SEQUENCE, CLOSING, BAD_ARGUMENT = 334, 235, 503, 421, 501
HIDDEN = b"(hidden)"

Answer = tuple[int, bytes]


def log_in(smtp: smtplib.SMTP, backend: Any) -> None:
    """Raise SMTPAuthenticationError if the server does not let us in; TransportUnavailable if it cannot be asked to."""
    user, password = str(backend.username).encode(), str(backend.password).encode()
    offered = smtp.esmtp_features.get("auth", "").upper().split()  # smtplib reads the old form, AUTH=LOGIN, too
    known = [name for name in WAYS if name in offered and (name != "CRAM-MD5" or has_md5())]
    if not known:
        raise TransportUnavailable(no_login(backend, offered, smtp.has_extn("starttls")))
    for name in known:
        code, text = WAYS[name](smtp, user, password)
        if code in (WELCOME, BAD_SEQUENCE):  # or we are logged in already, as smtplib takes it
            return
        if code == CLOSING:
            break
    raise smtplib.SMTPAuthenticationError(code, _without_secrets(text, user, password))


def has_md5() -> bool:
    try:
        hmac.new(b"", b"", "md5")
    except ValueError:  # OpenSSL in FIPS mode
        return False
    return True


def _cram_md5(smtp: smtplib.SMTP, user: bytes, password: bytes) -> Answer:
    """Log in by RFC 2195, without sending the password."""
    code, challenge = smtp.docmd("AUTH", "CRAM-MD5")
    if code != GO_ON:
        return code, challenge
    try:
        digest = hmac.new(password, b64decode(challenge), "md5").hexdigest()
    except binascii.Error:
        return smtp.docmd("*")
    return smtp.docmd(_base64(user + b" " + digest.encode()))


def _plain(smtp: smtplib.SMTP, user: bytes, password: bytes) -> Answer:
    """Log in by RFC 4616, in UTF-8."""
    return smtp.docmd("AUTH", f"PLAIN {_base64(bytes(1) + user + bytes(1) + password)}")


def _login(smtp: smtplib.SMTP, user: bytes, password: bytes) -> Answer:
    answer = smtp.docmd("AUTH", "LOGIN")
    for secret in (user, password):
        if answer[0] != GO_ON:
            break
        answer = smtp.docmd(_base64(secret))
    return answer


WAYS = {"CRAM-MD5": _cram_md5, "PLAIN": _plain, "LOGIN": _login}


def _base64(secret: bytes) -> str:
    return b64encode(secret).decode()


def _without_secrets(text: bytes, user: bytes, password: bytes) -> bytes:
    """Return a server's words without what they repeat of ours."""
    for secret in (bytes(1) + user + bytes(1) + password, password):
        text = text.replace(b64encode(secret), HIDDEN).replace(secret, HIDDEN)
    return text
