"""What differs in mail from one Django to the next. No other module asks which Django this is.

Until 6.0 the EMAIL_* settings lead to one backend; from 6.1 on MAILERS names several, and forbids them.
"""

from collections.abc import Mapping, Sequence
from email.message import MIMEPart
from email.mime.base import MIMEBase
from typing import Any

import django
from django.conf import settings
from django.core import mail
from django.core.mail.backends.filebased import EmailBackend as FileEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend
from django.utils.module_loading import import_string

OUTBOX = "flasky.mail.backend.OutboxEmailBackend"
TRANSPORT = "transport"  # the alias beside `default`

HAS_MAILERS = django.VERSION >= (6, 1)
HAS_MODERN_PARTS = django.VERSION >= (6, 0)

LineBreakInHeader: type[ValueError] = ValueError if HAS_MODERN_PARTS else mail.BadHeaderError

# Our setting, the option of Django's SMTP backend, and the setting that had its place until 6.0.
RELAY = (
    ("MAIL_SERVER", "host", "EMAIL_HOST"),
    ("MAIL_PORT", "port", "EMAIL_PORT"),
    ("MAIL_USE_TLS", "use_tls", "EMAIL_USE_TLS"),
    ("MAIL_USE_SSL", "use_ssl", "EMAIL_USE_SSL"),
    ("MAIL_USERNAME", "username", "EMAIL_HOST_USER"),
    ("MAIL_PASSWORD", "password", "EMAIL_HOST_PASSWORD"),
    ("MAIL_TIMEOUT", "timeout", "EMAIL_TIMEOUT"),
)


def mail_goes_to(backend: str) -> dict[str, Any]:
    """Return Django's settings that lead all mail of the project to the backend at this path."""
    if not HAS_MAILERS:
        return {"EMAIL_BACKEND": backend}
    return {
        "MAILERS": {
            "default": {"BACKEND": backend},
            TRANSPORT: {"BACKEND": f"{__name__}.transport_backend"},
        }
    }


def relay_is_named(ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return Django's settings that tell whoever sends past the outbox where the relay is."""
    return {} if HAS_MAILERS else {djangos: ours[name] for name, _, djangos in RELAY}


def people(addresses: Sequence[str]) -> list[Any]:
    """Return the value of ADMINS or MANAGERS."""
    return list(addresses) if HAS_MODERN_PARTS else [("", address) for address in addresses]


def addresses_of(people: Sequence[Any]) -> list[str]:
    return [person if isinstance(person, str) else person[1] for person in people]


def new_backend() -> Any:
    """Return a new backend behind the outbox."""
    return mail.mailers[TRANSPORT] if HAS_MAILERS else transport_backend()


def transport_backend(**options: Any) -> Any:
    """Return a new backend of the class that MAIL_TRANSPORT names, with those of our settings that it takes.

    MAILERS names this function and not the class: which options a class takes, its import only tells, and that has to
    wait until the settings are read.
    """
    backend = import_string(settings.MAIL_TRANSPORT)
    if isinstance(backend, type) and issubclass(backend, SmtpEmailBackend):
        options = {option: getattr(settings, name) for name, option, _ in RELAY} | options
    elif isinstance(backend, type) and issubclass(backend, FileEmailBackend):
        options = {"file_path": settings.MAIL_FILE_PATH} | options
    return backend(**options)


def attachable(part: MIMEPart) -> MIMEPart | MIMEBase:
    """Return a parsed part as EmailMessage.attach() takes it."""
    if HAS_MODERN_PARTS:
        return part
    legacy = MIMEBase(*part.get_content_type().split("/"))
    for name, value in part.items():
        if name.lower() != "content-type":
            legacy[name] = str(value)
    legacy.set_payload(part.get_payload())
    return legacy
