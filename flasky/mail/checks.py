"""Check the settings, so that no mail has to find out what is wrong with them."""

import math
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import Error as DatabaseFailure
from django.db import router, transaction
from django.utils.module_loading import import_string

from flasky.mail.compat import backends_of_the_project, lacks_transport
from flasky.mail.conf import DISPATCHERS, NAMES, TRANSPORTS, Conf, OfDispatcher, conf
from flasky.mail.db.outages import what_is_wrong
from flasky.mail.limits.budget import PERIODS
from flasky.mail.models import OutboxMessage, Process, RelayOutage, WriteProbe
from flasky.mail.runtime import clock
from flasky.mail.status.alerts import DELIVERERS, overdue
from flasky.mail.status.clocks import ADVICE, wrong_clocks
from flasky.mail.status.explanations import stuck
from flasky.mail.transports import new_transport
from flasky.mail.transports.connecting import is_ehlo_name
from flasky.mail.transports.provider_settings import missing_package, variable_in, what_lacks

LABEL = r"\w[\w-]{0,62}"
HOST = re.compile(rf"{LABEL}(\.{LABEL})*\.?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")  # a name, an IPv4 or an IPv6 address
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
TOKEN, MIN_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*"), 16  # as RFC 6750, section 2.1, has them
MOST_IN_BUDGET = 1_000_000_000
STAY_HERE = {TRANSPORTS[name]: name for name in ("console", "file", "locmem", "dummy")}
OUTBOX = "flasky.mail.backend.OutboxEmailBackend"


@checks.register("mail")
def check_mail_settings(**options: Any) -> list[checks.CheckMessage]:
    wrong_types = list(check_types())
    if wrong_types:
        return [*wrong_types, *check_names()]  # the others rely on the types
    return [
        *check_time_zone(),
        *check_relay(),
        *check_numbers(),
        *check_budget(),
        *check_digests(),
        *check_names(),
        *check_outbox(),
        *check_erase_with(),
        *check_mailers(),
        *check_transport(),
        *check_dispatcher(),
        *check_metrics(),
    ]


@checks.register(checks.Tags.database)
def check_delivery(databases: Any = None, **options: Any) -> list[checks.CheckMessage]:
    """Find out whether somebody delivers, and can. What cannot be read, as before the first migrate, is no finding."""
    if router.db_for_write(OutboxMessage) not in (databases or ()):
        return []
    try:
        late, outage = overdue(), RelayOutage.objects.for_all().first()
        stuck_ones = stuck(Process.objects.stuck()) if not outage else []
        WriteProbe.objects.exists()
        clock.measure()
        clocks = wrong_clocks(Process.objects.alive())
    except DatabaseFailure:
        return []
    return [*check_writable(), *check_overdue(late, outage), *check_stuck(stuck_ones), *check_clocks(clocks)]


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


def check_overdue(late: str, outage: RelayOutage | None) -> Iterator[checks.CheckMessage]:
    if late:
        cause = "The mail server takes no mail." if outage else "Nobody delivers, or not fast enough."
        yield checks.Warning(f"{late} {cause}", hint=str(outage or DELIVERERS), id="flasky.W003")


def check_stuck(sentences: list[str]) -> Iterator[checks.CheckMessage]:
    for sentence in sentences:
        problem, _, advice = sentence.partition(" Restart")
        yield checks.Warning(problem, hint=f"Restart{advice}", id="flasky.W006")


def check_clocks(sentences: list[str]) -> Iterator[checks.CheckMessage]:
    for sentence in sentences:
        yield checks.Warning(sentence, hint=str(ADVICE), id="flasky.W056")


def check_types() -> Iterator[checks.CheckMessage]:
    for name in NAMES:
        if not isinstance(vars(Conf)[name], OfDispatcher):
            yield from conf.check_type(name)


def check_time_zone() -> Iterator[checks.CheckMessage]:
    if not settings.USE_TZ:
        yield checks.Error(
            "USE_TZ is False; the outbox needs times that have a zone: for the Date of each mail, for leases and "
            "pauses by the database's clock, and for a `send_at`.",
            hint="Set USE_TZ to True, Django's default since 5.0.",
            id="flasky.E017",
        )


def check_relay() -> Iterator[checks.CheckMessage]:
    if conf.MAIL_USE_TLS and conf.MAIL_USE_SSL:
        tls, ssl = conf.source("MAIL_USE_TLS"), conf.source("MAIL_USE_SSL")
        yield checks.Error(
            f"{tls} and {ssl} are both on; a connection has either STARTTLS or TLS from the first byte.",
            hint=f"Port 587 usually wants {tls}, port 465 {ssl}: turn the other one off.",
            id="flasky.E002",
        )
    yield from check_encryption()
    if not 1 <= conf.MAIL_PORT <= 65535:
        yield checks.Error(
            f"{conf.source('MAIL_PORT')} is {conf.MAIL_PORT}; ports go from 1 to 65535.",
            hint="587 is usual for STARTTLS with login, 465 for TLS, 25 for a relay of your own.",
            id="flasky.E003",
        )
    if not HOST.fullmatch(conf.MAIL_SERVER):
        yield checks.Error(
            f"{conf.source('MAIL_SERVER')} is {conf.MAIL_SERVER!r}; it must be a host name or an IP address, "
            "nothing else.",
            hint=f"For example smtp.example.com; the port has a place of its own, {conf.source('MAIL_PORT')}.",
            id="flasky.E004",
        )
    user, password = bool(conf.MAIL_USERNAME), bool(conf.MAIL_PASSWORD)
    if user != password:
        names = conf.source("MAIL_USERNAME"), conf.source("MAIL_PASSWORD")
        given, missing = names if user else reversed(names)
        yield checks.Error(
            f"{given} is set and {missing} is not; a login needs both.",
            hint=f"Set {missing}, or remove {given} if the relay wants no login.",
            id="flasky.E005",
        )
    for setting, value in (("MAIL_USERNAME", conf.MAIL_USERNAME), ("MAIL_PASSWORD", conf.MAIL_PASSWORD)):
        if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
            name = conf.source(setting)
            yield checks.Error(
                f"{name} has a NUL character or half a character, which no login can send.",
                hint=f"Write {name} anew; any other character is sent in UTF-8.",
                id="flasky.E012",
            )
    if conf.MAIL_EHLO_NAME and not is_ehlo_name(conf.MAIL_EHLO_NAME):
        yield checks.Error(
            f"MAIL_EHLO_NAME is {conf.MAIL_EHLO_NAME!r}; it must be the name of a host or an address in brackets.",
            hint="For example web1.example.com, [192.0.2.1] or [IPv6:2001:db8::1]; or remove it.",
            id="flasky.E040",
        )
    encrypted = conf.MAIL_USE_TLS or conf.MAIL_USE_SSL
    if user and password and not encrypted and conf.MAIL_SERVER not in LOCAL_HOSTS:
        yield checks.Warning(
            f"{conf.source('MAIL_PASSWORD')} would travel to {conf.MAIL_SERVER} unencrypted.",
            hint=f"Set {conf.source('MAIL_USE_TLS')} (port 587) or {conf.source('MAIL_USE_SSL')} (port 465) to True.",
            id="flasky.W001",
        )


def check_encryption() -> Iterator[checks.CheckMessage]:
    """Find a port at which servers speak the other kind of TLS (RFC 8314, section 3.3)."""
    wrong, right = {465: ("MAIL_USE_TLS", "MAIL_USE_SSL"), 587: ("MAIL_USE_SSL", "MAIL_USE_TLS")}.get(
        conf.MAIL_PORT, ("", "")
    )
    if wrong and getattr(conf, wrong) and not getattr(conf, right):
        kind = "begin with TLS" if right == "MAIL_USE_SSL" else "speak STARTTLS"
        yield checks.Warning(
            f"{conf.source(wrong)} is on with port {conf.MAIL_PORT}, at which mail servers {kind}.",
            hint=f"Set {conf.source(right)} to True and {conf.source(wrong)} to False, or correct "
            f"{conf.source('MAIL_PORT')}.",
            id="flasky.W009",
        )


def check_numbers() -> Iterator[checks.CheckMessage]:
    limits = (
        ("MAIL_TIMEOUT", conf.MAIL_TIMEOUT, 1, 3600, "seconds"),
        ("MAIL_WORKERS", conf.MAIL_WORKERS, 1, 100, "threads"),
        ("MAIL_GIVE_UP_DAYS", conf.MAIL_GIVE_UP_DAYS, 1, 365, "days"),
        ("MAIL_KEEP_DAYS", conf.MAIL_KEEP_DAYS, 0, 36_500, "days"),
        ("MAIL_KEEP_BODIES", conf.MAIL_KEEP_BODIES, 0, 36_500, "days"),
        ("MAIL_READY_AGE", conf.MAIL_READY_AGE, 0, 30 * 86400, "seconds"),
        ("MAIL_MAX_CONNECTIONS", conf.MAIL_MAX_CONNECTIONS or 1, 1, 10_000, "connections"),
        ("MAIL_MAX_RECIPIENTS", conf.MAIL_MAX_RECIPIENTS or 1, 1, 100_000, "recipients"),
        ("MAIL_RATE", conf.MAIL_RATE or 1, 0.001, 100_000, "messages per second"),
        ("MAIL_BUDGET_HELD", conf.MAIL_BUDGET_HELD, 0, 10_000_000, "messages"),
        ("MAIL_DIGEST_AFTER", conf.MAIL_DIGEST_AFTER, 0, 10_000, "mails"),
        ("MAIL_DIGEST_WINDOW", conf.MAIL_DIGEST_WINDOW, 1, 86_400, "seconds"),
        ("MAIL_DIGEST_WAIT", conf.MAIL_DIGEST_WAIT, 1, 86_400, "seconds"),
        ("MAIL_MAX_SIZE", conf.MAIL_MAX_SIZE, 1000, 1_000_000_000, "bytes"),
    )
    for name, value, least, most, unit in limits:
        if not least <= value <= most:
            yield checks.Error(
                f"{conf.source(name)} is {value} {unit}.",
                hint=f"Choose a number from {least:,} to {most:,} {unit}.",
                id="flasky.E006",
            )


def check_budget() -> Iterator[checks.CheckMessage]:
    for name in ("MAIL_BUDGET_RECIPIENT", "MAIL_BUDGET_KIND", "MAIL_BUDGET_TOTAL", "MAIL_BUDGET_URGENT"):
        numbers = getattr(conf, name)
        are_numbers = all(type(number) is int and 0 <= number <= MOST_IN_BUDGET for number in numbers)
        if len(numbers) > len(PERIODS) or not are_numbers:
            default = ", ".join(map(str, vars(Conf)[name].default))
            yield checks.Error(
                f"{name} is {numbers!r}; it must be up to three whole numbers of messages from 0 to "
                f"{MOST_IN_BUDGET:,}: in a minute, an hour and a day.",
                hint=f"For example {default}, the default; 0 is no limit.",
                id="flasky.E044",
            )


def check_digests() -> Iterator[checks.CheckMessage]:
    if conf.MAIL_DIGEST_AFTER and conf.MAIL_DIGEST_WAIT < 2 * conf.MAIL_SWEEP_INTERVAL:
        yield checks.Warning(
            f"MAIL_DIGEST_WAIT is {conf.MAIL_DIGEST_WAIT} seconds, and whoever delivers looks every "
            f"{conf.MAIL_SWEEP_INTERVAL} seconds (MAIL_SWEEP_INTERVAL): what is gathered may leave one by one.",
            hint=f"Let MAIL_DIGEST_WAIT be {math.ceil(2 * conf.MAIL_SWEEP_INTERVAL)} or more; "
            "MAIL_DIGEST_AFTER=0 gathers nothing.",
            id="flasky.W010",
        )


def check_names() -> Iterator[checks.CheckMessage]:
    """Find what looks like one of ours and is none; what resembles none may be another app's."""
    for name in dir(settings):
        nearest = get_close_matches(name, NAMES, 1, cutoff=0.8) if name.startswith(("MAIL_", "FLASKY_MAIL_")) else []
        if nearest and name not in NAMES:
            yield checks.Warning(
                f"{name} is set, and the outbox has no such setting: it counts for nothing.",
                hint=f"Did you mean {nearest[0]}? Correct the name, or remove {name}.",
                id="flasky.W007",
            )


def check_outbox() -> Iterator[checks.CheckMessage]:
    """Find a mistyped name of the outbox, by which no mail could be sent; what resembles it not is another's."""
    for setting, path in backends_of_the_project().items():
        nearest = get_close_matches(path, [OUTBOX, *TRANSPORTS.values()], 1) if isinstance(path, str) else []
        if nearest == [OUTBOX] and not callable(_imported(path)):
            yield checks.Error(
                f"{setting} is {path}, and there is no such e-mail backend: no mail can be sent.",
                hint=f"Did you mean {OUTBOX}?",
                id="flasky.E033",
            )


def check_erase_with() -> Iterator[checks.CheckMessage]:
    for label in conf.MAIL_ERASE_WITH:
        try:
            apps.get_model(label)
        except (AttributeError, LookupError, ValueError):
            yield checks.Error(
                f"MAIL_ERASE_WITH names {label!r}, and there is no such model: the mails about none are erased.",
                hint="Write app and model as in AUTH_USER_MODEL, for example accounts.User.",
                id="flasky.E043",
            )


def check_mailers() -> Iterator[checks.CheckMessage]:
    if lacks_transport() and not conf.is_set("MAIL_TRANSPORT"):
        yield checks.Warning(
            "MAILERS has the outbox and no alias `transport`: nobody has said which server takes the mail out of it.",
            hint='Add to MAILERS "transport": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", '
            '"OPTIONS": {"host": "smtp.example.com"}}.',
            id="flasky.W008",
        )


def check_transport() -> Iterator[checks.CheckMessage]:
    path = conf.MAIL_TRANSPORT
    if path == OUTBOX:
        yield checks.Error(
            f"{conf.source('MAIL_TRANSPORT')} is {path}: the outbox would deliver into itself, without end.",
            hint="Name the backend behind the outbox, such as smtp.",
            id="flasky.E013",
        )
    try:
        is_backend = callable(import_string(path))
        wrong = "" if is_backend else "which is no class of an e-mail backend"
    except Exception as error:  # the code of a module may raise anything
        wrong = f"which cannot be imported: {_reason(error)}"
    if wrong:
        names = [*TRANSPORTS, *TRANSPORTS.values(), *_providers()]
        if package := missing_package(path):
            yield checks.Error(
                f"{conf.source('MAIL_TRANSPORT')} leads to {path}, for which the package {package.name} is missing.",
                hint=f'Install it: pip install "{package.extra}"; or choose another MAIL_TRANSPORT.',
                id="flasky.E041",
            )
            return
        yield checks.Error(
            f"{conf.source('MAIL_TRANSPORT')} leads to {path}, {wrong}.",
            hint=f"Use {', '.join(TRANSPORTS)}, the name of an Anymail provider (mailgun, postmark, …) or a "
            f"dotted path; install or correct what the message names.{_did_you_mean(path, names)}",
            id="flasky.E009",
        )
        return
    if conf.MAIL_USE_TLS and conf.MAIL_USE_SSL:
        return  # reported above; the backend cannot be made
    try:
        backend = new_transport().backend
    except Exception as error:  # a backend may refuse its settings with anything
        said = " ".join(str(error).split())
        yield checks.Error(
            f"{conf.source('MAIL_TRANSPORT')} {path} does not accept its settings: {said}",
            hint="Anymail's settings are in ANYMAIL; for Flasky itself they come from the environment with that "
            f"prefix, for example {variable_in(said, import_string(path))}=…",
            id="flasky.E010",
        )
    else:
        for wrong, hint in what_lacks(backend):
            yield checks.Error(f"{conf.source('MAIL_TRANSPORT')} is {path}, and {wrong}", hint=hint, id="flasky.E042")
    if not settings.DEBUG and path in STAY_HERE:
        yield checks.Warning(
            f"{conf.source('MAIL_TRANSPORT')} is {STAY_HERE[path]} while DEBUG is off: no mail leaves this machine.",
            hint=f"Set {conf.source('MAIL_TRANSPORT')} to smtp or to a provider; .env may have it from development.",
            id="flasky.W002",
        )


def check_dispatcher() -> Iterator[checks.CheckMessage]:
    path = conf.MAIL_DISPATCHER
    try:
        dispatcher = import_module(path)
        missing = [name for name in ("wake", "serve", "stop") if not hasattr(dispatcher, name)]
    except Exception as error:  # the code of a module may raise anything
        extra = next((name for name, ours in DISPATCHERS.items() if ours == path), "")  # what lacks is its extra's
        install = f'Install it: pip install "flasky-mail[{extra}]"; for Flasky itself -r requirements-{extra}.txt'
        names = f"Use {', '.join(DISPATCHERS)} or the dotted path of a module.{_did_you_mean(path, DISPATCHERS)}"
        yield checks.Error(
            f"MAIL_DISPATCHER leads to {path}, which cannot be imported: {_reason(error)}.",
            hint=install if extra else names,
            id="flasky.E011",
        )
        return
    if missing:
        yield checks.Error(
            f"MAIL_DISPATCHER leads to {path}, which has no function {' and no function '.join(missing)}.",
            hint="A dispatcher is a module with wake(), serve() and stop(); see flasky/mail/dispatchers.",
            id="flasky.E011",
        )
    try:
        yield from list(getattr(dispatcher, "check", tuple)())
    except Exception as error:  # the code of a module may raise anything
        yield checks.Error(
            f"MAIL_DISPATCHER leads to {path}, whose check() has failed: {_reason(error)}.",
            hint="Correct that function: it returns a list of Django's check messages.",
            id="flasky.E011",
        )


def check_metrics() -> Iterator[checks.CheckMessage]:
    token = conf.MAIL_METRICS_TOKEN
    if token and find_spec("prometheus_client") is None:
        yield checks.Error(
            "MAIL_METRICS_TOKEN is set, and the package that writes the metrics is not installed.",
            hint='pip install "flasky-mail[metrics]"; for Flasky itself -r requirements-metrics.txt. '
            "Or remove MAIL_METRICS_TOKEN.",
            id="flasky.E030",
        )
    if token and not (len(token) >= MIN_TOKEN and TOKEN.fullmatch(token)):
        yield checks.Error(
            f"MAIL_METRICS_TOKEN must be {MIN_TOKEN} characters or more, without spaces and without quotes.",
            hint='python -c "import secrets; print(secrets.token_urlsafe(32))" makes one.',
            id="flasky.E031",
        )
    for path in conf.MAIL_METRICS_ALSO if token and find_spec("prometheus_client") else ():
        try:
            import_string(path)
        except Exception as error:  # the code of a module may raise anything
            yield checks.Error(
                f"MAIL_METRICS_ALSO names {path!r}, which cannot be imported: {_reason(error)}.",
                hint="Write the dotted path of a function that returns metrics of prometheus_client, or remove it.",
                id="flasky.E045",
            )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _reason(error: Exception) -> str:
    """Return what the error says; its kind as well if that alone says little, as a KeyError's does."""
    kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split())


def _providers() -> list[str]:
    found = find_spec("anymail")
    folders = [f"{folder}/backends" for folder in (found and found.submodule_search_locations) or ()]
    return [module.name for module in iter_modules(folders) if not module.name.startswith("base")]


def _imported(path: str) -> Any:
    try:
        return import_string(path)
    except Exception:  # the code of a module may raise anything
        return None


def _did_you_mean(path: str, names: Iterable[str]) -> str:
    """Return a question with the nearest of the names, for a whole path or for the short name that it was made of."""
    short = path.removeprefix("anymail.backends.").removeprefix("flasky.mail.dispatchers.").split(".")[0]
    known = {name.lower(): name for name in names}
    close = get_close_matches(short.lower(), known, 1) or get_close_matches(path.lower(), known, 1)
    return f" Did you mean {known[close[0]]}?" if close else ""
