"""What is wrong with the settings, before the first mail finds out."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

import anymail.backends
from django.conf import settings
from django.core import checks
from django.db import Error as DatabaseFailure
from django.db import router, transaction
from django.utils.module_loading import import_string

from flasky.mail.db.outages import what_is_wrong
from flasky.mail.models import Deliverer, OutboxMessage, RelayTrouble, WriteProbe
from flasky.mail.status.alerts import DELIVERERS, overdue
from flasky.mail.status.explanations import stuck
from flasky.mail.transports import new_transport
from flasky.mail.wire.compose import envelope_address

LABEL = r"\w[\w-]{0,62}"
HOST = re.compile(rf"{LABEL}(\.{LABEL})*\.?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")  # a name, an IPv4 or an IPv6 address
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
TOKEN, MIN_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*"), 16  # as RFC 6750, section 2.1, has them
DISPATCHERS = ("threads", "inline", "celery", "none")
CELERY = "flasky.mail.dispatchers.celery"
BROKERS = ("redis", "rediss", "amqp", "amqps")


@checks.register("mail")
def check_mail_settings(**options: Any) -> list[checks.CheckMessage]:
    return [
        *check_relay(),
        *check_numbers(),
        *check_addresses(),
        *check_transport(),
        *check_dispatcher(),
        *check_broker(),
        *check_metrics(),
    ]


@checks.register(checks.Tags.database)
def check_delivery(databases: Any = None, **options: Any) -> list[checks.CheckMessage]:
    """Find out whether somebody delivers, and can. What cannot be read, as before the first migrate, is no finding."""
    if router.db_for_write(OutboxMessage) not in (databases or ()):
        return []
    try:
        late, trouble = overdue(), RelayTrouble.objects.current().first()
        stuck_ones = stuck(Deliverer.objects.stuck()) if not trouble else []
        WriteProbe.objects.exists()
    except DatabaseFailure:
        return []
    return [*check_writable(), *check_overdue(late, trouble), *check_stuck(stuck_ones)]


def check_writable() -> Iterator[checks.CheckMessage]:
    try:
        with transaction.atomic(using=router.db_for_write(WriteProbe)):
            WriteProbe.objects.write(lately=0)
    except DatabaseFailure as error:
        yield checks.Warning(
            "The database can be read, but takes no write: no mail can be stored, and what is stored not delivered.",
            hint=_sentence(what_is_wrong(error)),
            id="flasky.W005",
        )


def check_overdue(late: str, trouble: RelayTrouble | None) -> Iterator[checks.CheckMessage]:
    if late:
        cause = "The mail server takes no mail." if trouble else "Nobody delivers, or not fast enough."
        yield checks.Warning(f"{late} {cause}", hint=str(trouble or DELIVERERS), id="flasky.W003")


def check_stuck(sentences: list[str]) -> Iterator[checks.CheckMessage]:
    for sentence in sentences:
        problem, _, advice = sentence.partition(" Restart")
        yield checks.Warning(problem, hint=f"Restart{advice}", id="flasky.W006")


def check_relay() -> Iterator[checks.CheckMessage]:
    if settings.MAIL_USE_TLS and settings.MAIL_USE_SSL:
        yield checks.Error(
            "MAIL_USE_TLS and MAIL_USE_SSL are both on; a connection has either STARTTLS or TLS from the first byte.",
            hint="Port 587 usually wants MAIL_USE_TLS, port 465 MAIL_USE_SSL: turn the other one off.",
            id="flasky.E002",
        )
    if not 1 <= settings.MAIL_PORT <= 65535:
        yield checks.Error(
            f"MAIL_PORT is {settings.MAIL_PORT}; ports go from 1 to 65535.",
            hint="587 is usual for STARTTLS with login, 465 for TLS, 25 for a relay of your own.",
            id="flasky.E003",
        )
    if not HOST.fullmatch(settings.MAIL_SERVER):
        yield checks.Error(
            f"MAIL_SERVER is {settings.MAIL_SERVER!r}; it must be a host name or an IP address, nothing else.",
            hint="For example MAIL_SERVER=smtp.example.com, with the port in MAIL_PORT.",
            id="flasky.E004",
        )
    user, password = bool(settings.MAIL_USERNAME), bool(settings.MAIL_PASSWORD)
    if user != password:
        given, missing = ("MAIL_USERNAME", "MAIL_PASSWORD") if user else ("MAIL_PASSWORD", "MAIL_USERNAME")
        yield checks.Error(
            f"{given} is set and {missing} is not; a login needs both.",
            hint=f"Set {missing}, or remove {given} if the relay wants no login.",
            id="flasky.E005",
        )
    for name, value in (("MAIL_USERNAME", settings.MAIL_USERNAME), ("MAIL_PASSWORD", settings.MAIL_PASSWORD)):
        if not value.isascii():
            yield checks.Error(
                f"{name} has characters beyond ASCII, which Python's SMTP login cannot send.",
                hint=f"Ask whoever runs the relay for another {name}.",
                id="flasky.E012",
            )
    encrypted = settings.MAIL_USE_TLS or settings.MAIL_USE_SSL
    if user and password and not encrypted and settings.MAIL_SERVER not in LOCAL_HOSTS:
        yield checks.Warning(
            f"MAIL_PASSWORD would travel to {settings.MAIL_SERVER} unencrypted.",
            hint="Set MAIL_USE_TLS=True (port 587) or MAIL_USE_SSL=True (port 465).",
            id="flasky.W001",
        )


def check_numbers() -> Iterator[checks.CheckMessage]:
    limits = (
        ("MAIL_TIMEOUT", settings.MAIL_TIMEOUT, 1, 3600, "seconds"),
        ("MAIL_WORKERS", settings.MAIL_WORKERS, 1, 100, "threads"),
        ("MAIL_GIVE_UP_DAYS", settings.MAIL_GIVE_UP_DAYS, 1, 365, "days"),
        ("MAIL_READY_AGE", settings.MAIL_READY_AGE, 0, 30 * 86400, "seconds"),
        ("MAIL_MAX_CONNECTIONS", settings.MAIL_MAX_CONNECTIONS or 1, 1, 10_000, "connections"),
        ("MAIL_RATE", settings.MAIL_RATE or 1, 0.001, 100_000, "messages per second"),
        ("MAIL_MAX_SIZE", settings.MAIL_MAX_SIZE, 1000, 1_000_000_000, "bytes"),
    )
    for name, value, least, most, unit in limits:
        if not least <= value <= most:
            yield checks.Error(
                f"{name} is {value} {unit}.",
                hint=f"Choose a number from {least:,} to {most:,} {unit}.",
                id="flasky.E006",
            )


def check_addresses() -> Iterator[checks.CheckMessage]:
    named = [("FLASKY_ADMIN", address) for address in settings.FLASKY_ADMIN]
    for name, address in [*named, ("FLASKY_MAIL_SENDER", settings.FLASKY_MAIL_SENDER)]:
        try:
            envelope_address(address)
        except ValueError as error:
            yield checks.Error(
                f"{name} has {address!r}, to which no mail can be sent or answered. {error}",
                hint="Write ann@example.com or Ann <ann@example.com>; FLASKY_ADMIN may have several, with commas.",
                id="flasky.E007",
            )
    if any(character in settings.FLASKY_MAIL_SUBJECT_PREFIX for character in "\r\n"):
        yield checks.Error(
            "FLASKY_MAIL_SUBJECT_PREFIX has a line break, which no mail's subject can have.",
            hint="Write it on one line, for example FLASKY_MAIL_SUBJECT_PREFIX=[Flasky]",
            id="flasky.E008",
        )


def check_transport() -> Iterator[checks.CheckMessage]:
    path = settings.MAIL_TRANSPORT
    if path == "flasky.mail.backend.OutboxEmailBackend":
        yield checks.Error(
            f"MAIL_TRANSPORT is {path}: the outbox would deliver into itself, without end.",
            hint="Name the backend behind the outbox, such as smtp.",
            id="flasky.E013",
        )
    try:
        import_string(path)
    except ModuleNotFoundError as error:
        yield checks.Error(
            f"MAIL_TRANSPORT leads to {path}, which cannot be imported: {error}.",
            hint=f"Use {', '.join(settings.TRANSPORTS)}, the name of an Anymail provider (mailgun, postmark, …) or a "
            f"dotted path.{_did_you_mean(path, [*settings.TRANSPORTS, *_providers()])}",
            id="flasky.E009",
        )
        return
    except Exception as error:  # the code of a module may raise anything
        yield checks.Error(
            f"MAIL_TRANSPORT leads to {path}, which cannot be imported: {_reason(error)}.",
            hint="Install or correct what the message names, or choose another transport.",
            id="flasky.E009",
        )
        return
    if settings.MAIL_USE_TLS and settings.MAIL_USE_SSL:
        return  # reported above; the backend cannot be made
    try:
        new_transport()
    except Exception as error:  # a backend may refuse its settings with anything
        yield checks.Error(
            f"MAIL_TRANSPORT {path} does not accept its settings: {' '.join(str(error).split())}",
            hint="Anymail's settings come from the environment with the prefix ANYMAIL_, for example "
            "ANYMAIL_MAILGUN_API_KEY=…",
            id="flasky.E010",
        )
    if not settings.DEBUG and path.endswith(("console.EmailBackend", "locmem.EmailBackend", "dummy.EmailBackend")):
        yield checks.Warning(
            f"MAIL_TRANSPORT is {path}: no mail leaves this machine.",
            hint="Choose smtp or a provider before people rely on the mail.",
            id="flasky.W002",
        )


def check_dispatcher() -> Iterator[checks.CheckMessage]:
    path = settings.MAIL_DISPATCHER
    try:
        dispatcher = import_module(path)
        missing = [name for name in ("wake", "serve", "stop") if not hasattr(dispatcher, name)]
    except Exception as error:  # the code of a module may raise anything
        install = "Install Celery: pip install -r requirements-celery.txt"
        names = f"Use {', '.join(DISPATCHERS)} or the dotted path of a module.{_did_you_mean(path, DISPATCHERS)}"
        yield checks.Error(
            f"MAIL_DISPATCHER leads to {path}, which cannot be imported: {_reason(error)}.",
            hint=install if path == CELERY else names,
            id="flasky.E011",
        )
        return
    if missing:
        yield checks.Error(
            f"MAIL_DISPATCHER leads to {path}, which has no function {' and no function '.join(missing)}.",
            hint="A dispatcher is a module with wake(), serve() and stop(); see flasky/mail/dispatchers.",
            id="flasky.E011",
        )


def check_broker() -> Iterator[checks.CheckMessage]:
    if settings.MAIL_DISPATCHER != CELERY:
        return
    scheme, separator, rest = settings.CELERY_BROKER_URL.partition("://")
    if scheme not in BROKERS or not separator or not rest.strip("/"):
        yield checks.Error(
            "CELERY_BROKER_URL is no address of a broker. (It is not shown: it may hold a password.)",
            hint="Write redis://127.0.0.1:6379/0 or amqp://user:password@127.0.0.1:5672//",
            id="flasky.E016",
        )


def check_metrics() -> Iterator[checks.CheckMessage]:
    token = settings.MAIL_METRICS_TOKEN
    if token and find_spec("prometheus_client") is None:
        yield checks.Error(
            "MAIL_METRICS_TOKEN is set, and the package that writes the metrics is not installed.",
            hint="pip install -r requirements-metrics.txt, or remove MAIL_METRICS_TOKEN.",
            id="flasky.E030",
        )
    if token and not (len(token) >= MIN_TOKEN and TOKEN.fullmatch(token)):
        yield checks.Error(
            f"MAIL_METRICS_TOKEN must be {MIN_TOKEN} characters or more, without spaces and without quotes.",
            hint='python -c "import secrets; print(secrets.token_urlsafe(32))" makes one.',
            id="flasky.E031",
        )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _reason(error: Exception) -> str:
    """Return what the error says; its kind as well if that alone says little, as a KeyError's does."""
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def _providers() -> list[str]:
    return [module.name for module in iter_modules(anymail.backends.__path__) if module.name != "base"]


def _did_you_mean(path: str, names: Any) -> str:
    typed = path.removeprefix("anymail.backends.").removeprefix("flasky.mail.dispatchers.").split(".")[0]
    close = get_close_matches(typed, names, 1)
    return f" Did you mean {close[0]}?" if close else ""
