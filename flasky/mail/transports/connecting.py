"""Connect to the relay as Django's SMTP back end does, but for the name in EHLO and for the login."""

import inspect
import ipaddress
import re
import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend

from flasky.mail.conf import conf
from flasky.mail.transports.login import log_in
from flasky.mail.transports.replies_in_time import in_time
from flasky.mail.wire.domains import in_ascii

LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
FULL_NAME = re.compile(rf"(?!localhost\.)(?:{LABEL}\.)+(?!\d+$){LABEL}")


def connects_as_django_does(backend: Any) -> bool:
    return all(
        inspect.getattr_static(backend, name, None) is inspect.getattr_static(SmtpEmailBackend, name)
        for name in ("open", "connection_class")
    )


def connect(backend: Any) -> smtplib.SMTP:
    """Return a connection that is greeted, secured and logged in as the back end's options want it.

    Raise OSError, of which smtplib's errors are some, or TransportUnavailable.
    """
    options = {"context": backend.ssl_context} if backend.use_ssl else {}
    # Without a name, smtplib would look this machine's up, which can take seconds.
    with waiting_for("GREETING"):
        smtp = in_time(backend.connection_class)(
            backend.host, backend.port, local_hostname="localhost", timeout=backend.timeout, **options
        )
    try:
        smtp.local_hostname = ehlo_name(smtp.sock)
        with waiting_for("EHLO"):
            greet(smtp)
        if backend.use_tls and not backend.use_ssl:
            with waiting_for("STARTTLS"):
                smtp.starttls(context=backend.ssl_context)
            with waiting_for("EHLO"):
                greet(smtp)
        if backend.username and backend.password:
            with waiting_for("AUTH"):
                log_in(smtp, backend)
    except BaseException:
        smtp.close()
        raise
    return smtp


@contextmanager
def waiting_for(place: str) -> Iterator[None]:
    """Note at an error which answer did not come; one that comes before anybody has answered has no place."""
    try:
        yield
    except OSError as error:  # smtplib's own are OSErrors
        if place != "GREETING" or isinstance(error, (smtplib.SMTPException, ConnectionResetError)):
            error.place = place  # type: ignore[attr-defined]
        raise


def greet(smtp: smtplib.SMTP) -> None:
    """Greet, as smtplib would with the first mail. Raise SMTPHeloError: a server's refusal is no message's fault.

    HELO is for servers that do not know EHLO; what one says that takes nobody now must not be lost by asking again.
    """
    code, text = smtp.ehlo()
    if code // 100 == 5:
        code, text = smtp.helo()
    if code // 100 != 2:
        raise smtplib.SMTPHeloError(code, text)


def ehlo_name(sock: socket.socket) -> str:
    """Return what this host calls itself: MAIL_EHLO_NAME, its full name, or its address on this connection.

    A container's name, such as 3f2a91bc, is no name of a domain, and strict servers refuse it; an address in brackets
    is for hosts without one (RFC 5321, section 4.1.3). DNS is not asked.
    """
    if conf.MAIL_EHLO_NAME:
        return in_ascii(conf.MAIL_EHLO_NAME)
    name = socket.gethostname()
    return name if FULL_NAME.fullmatch(name) else address_literal(sock.getsockname()[0])


def address_literal(address: str) -> str:
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return f"[{ip}]" if ip.version == 4 else f"[IPv6:{ip}]"


def is_ehlo_name(name: str) -> bool:
    """Tell whether a server can take it for the name of a host, or for an address literal."""
    try:
        if name.startswith("["):
            return address_literal(name[1:-1].removeprefix("IPv6:")) == name
        return re.fullmatch(rf"(?:{LABEL}\.)*{LABEL}", in_ascii(name)) is not None
    except ValueError:
        return False
