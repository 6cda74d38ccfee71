"""Make the e-mail back end behind the outbox, with the settings that its class takes."""

from typing import Any

from django.core.mail.backends.filebased import EmailBackend as FileEmailBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend
from django.utils.module_loading import import_string

from flasky.mail.compat import backend_of_alias, made_as_alias
from flasky.mail.conf import conf


def new_backend(using: str = "") -> Any:
    """Return a new back end, or that of another alias; one for SMTP without a limit of its own gets MAIL_TIMEOUT."""
    if using:
        backend = backend_of_alias(using)
    else:
        backend = None if conf.is_set("MAIL_TRANSPORT") else backend_of_alias()
        backend = backend or by_our_settings(**made_as_alias())
    if isinstance(backend, SmtpEmailBackend) and not backend.timeout:
        backend.timeout = conf.MAIL_TIMEOUT
    return backend


def by_our_settings(**options: Any) -> Any:
    """Return a new back end of the class that MAIL_TRANSPORT names, with those of our settings that it takes.

    A project's MAILERS can name this function, and not the class: which options a class takes, its import only tells,
    and that has to wait until the settings are read.
    """
    backend = import_string(conf.MAIL_TRANSPORT)
    if isinstance(backend, type) and issubclass(backend, SmtpEmailBackend):
        options = of_the_relay() | options
    elif isinstance(backend, type) and issubclass(backend, FileEmailBackend):
        options = {"file_path": conf.MAIL_FILE_PATH} | options
    return backend(**options)


def of_the_relay() -> dict[str, Any]:
    return {
        "host": conf.MAIL_SERVER,
        "port": conf.MAIL_PORT,
        "use_tls": conf.MAIL_USE_TLS,
        "use_ssl": conf.MAIL_USE_SSL,
        "username": conf.MAIL_USERNAME,
        "password": conf.MAIL_PASSWORD,
        "timeout": conf.MAIL_TIMEOUT,
    }
