"""Check the settings, so that no mail has to find out what is wrong with them."""

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
from django.utils import translation
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from flasky.mail.checks.database import check_isolation, check_room
from flasky.mail.checks.numbers import check_budget, check_digests, check_numbers
from flasky.mail.compat import backends_of_the_project, lacks_transport
from flasky.mail.conf import DISPATCHERS, NAMES, TRANSPORTS, Conf, OfDispatcher, conf
from flasky.mail.db.outages import what_is_wrong
from flasky.mail.models import OutboxMessage, Process, RelayOutage, WriteProbe
from flasky.mail.runtime import clock
from flasky.mail.status.alerts import DELIVERERS, overdue
from flasky.mail.status.clocks import ADVICE, wrong_clocks
from flasky.mail.status.explanations import RESTART, has_waited, stuck
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.status.written import joined, listed
from flasky.mail.transports import new_transport
from flasky.mail.transports.connecting import is_ehlo_name
from flasky.mail.transports.provider_settings import missing_package, variable_in, what_lacks

LABEL = r"\w[\w-]{0,62}"
HOST = re.compile(rf"{LABEL}(\.{LABEL})*\.?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")  # a name, an IPv4 or an IPv6 address
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
TOKEN, MIN_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*"), 16  # as RFC 6750, section 2.1, has them
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
        *check_language_of(),
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
    return [
        *check_isolation(),
        *check_room(),
        *check_writable(),
        *check_overdue(late, outage),
        *check_stuck(stuck_ones),
        *check_clocks(clocks),
    ]


def check_writable() -> Iterator[checks.CheckMessage]:
    try:
        with transaction.atomic(using=router.db_for_write(WriteProbe)):
            WriteProbe.objects.write(lately=0)
    except DatabaseFailure as error:
        yield checks.Warning(
            _("The database can be read, but takes no write: no mail can be stored, and what is stored not delivered."),
            hint=_sentence(in_their_words(what_is_wrong(error))),
            id="flasky.W005",
        )


def check_overdue(late: str, outage: RelayOutage | None) -> Iterator[checks.CheckMessage]:
    if late:
        cause = _("The mail server takes no mail.") if outage else _("Nobody delivers, or not fast enough.")
        hint = has_waited(outage) if outage else str(DELIVERERS)
        yield checks.Warning(joined(late, cause), hint=hint, id="flasky.W003")


def check_stuck(sentences: list[str]) -> Iterator[checks.CheckMessage]:
    for sentence in sentences:
        yield checks.Warning(sentence, hint=str(RESTART), id="flasky.W006")


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
            _(
                "USE_TZ is False; the outbox needs times that have a zone: for the Date of each mail, for leases and "
                "pauses by the database's clock, and for a `send_at`."
            ),
            hint=_("Set USE_TZ to True, Django's default since 5.0."),
            id="flasky.E017",
        )


def check_relay() -> Iterator[checks.CheckMessage]:
    if conf.MAIL_USE_TLS and conf.MAIL_USE_SSL:
        switches = {"tls": conf.source("MAIL_USE_TLS"), "ssl": conf.source("MAIL_USE_SSL")}
        yield checks.Error(
            _("%(tls)s and %(ssl)s are both on; a connection has either STARTTLS or TLS from the first byte.")
            % switches,
            hint=_("Port 587 usually wants %(tls)s, port 465 %(ssl)s: turn the other one off.") % switches,
            id="flasky.E002",
        )
    yield from check_encryption()
    if not 1 <= conf.MAIL_PORT <= 65535:
        yield checks.Error(
            _("%(name)s is %(port)s; ports go from 1 to 65535.")
            % {"name": conf.source("MAIL_PORT"), "port": conf.MAIL_PORT},
            hint=_("587 is usual for STARTTLS with login, 465 for TLS, 25 for a relay of your own."),
            id="flasky.E003",
        )
    if not HOST.fullmatch(conf.MAIL_SERVER):
        yield checks.Error(
            _("%(name)s is %(host)r; it must be a host name or an IP address, nothing else.")
            % {"name": conf.source("MAIL_SERVER"), "host": conf.MAIL_SERVER},
            hint=_("For example smtp.example.com; the port has a place of its own, %(name)s.")
            % {"name": conf.source("MAIL_PORT")},
            id="flasky.E004",
        )
    user, password = bool(conf.MAIL_USERNAME), bool(conf.MAIL_PASSWORD)
    if user != password:
        names = conf.source("MAIL_USERNAME"), conf.source("MAIL_PASSWORD")
        given, missing = names if user else reversed(names)
        values = {"given": given, "missing": missing}
        yield checks.Error(
            _("%(given)s is set and %(missing)s is not; a login needs both.") % values,
            hint=_("Set %(missing)s, or remove %(given)s if the relay wants no login.") % values,
            id="flasky.E005",
        )
    for setting, value in (("MAIL_USERNAME", conf.MAIL_USERNAME), ("MAIL_PASSWORD", conf.MAIL_PASSWORD)):
        if "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
            values = {"name": conf.source(setting)}
            yield checks.Error(
                _("%(name)s has a NUL character or half a character, which no login can send.") % values,
                hint=_("Write %(name)s anew; any other character is sent in UTF-8.") % values,
                id="flasky.E012",
            )
    if conf.MAIL_EHLO_NAME and not is_ehlo_name(conf.MAIL_EHLO_NAME):
        yield checks.Error(
            _("MAIL_EHLO_NAME is %(host)r; it must be the name of a host or an address in brackets.")
            % {"host": conf.MAIL_EHLO_NAME},
            hint=_("For example web1.example.com, [192.0.2.1] or [IPv6:2001:db8::1]; or remove it."),
            id="flasky.E040",
        )
    encrypted = conf.MAIL_USE_TLS or conf.MAIL_USE_SSL
    if user and password and not encrypted and conf.MAIL_SERVER not in LOCAL_HOSTS:
        yield checks.Warning(
            _("%(name)s would travel to %(host)s unencrypted.")
            % {"name": conf.source("MAIL_PASSWORD"), "host": conf.MAIL_SERVER},
            hint=_("Set %(tls)s (port 587) or %(ssl)s (port 465) to True.")
            % {"tls": conf.source("MAIL_USE_TLS"), "ssl": conf.source("MAIL_USE_SSL")},
            id="flasky.W001",
        )


def check_encryption() -> Iterator[checks.CheckMessage]:
    """Find a port at which servers speak the other kind of TLS (RFC 8314, section 3.3)."""
    wrong, right = {465: ("MAIL_USE_TLS", "MAIL_USE_SSL"), 587: ("MAIL_USE_SSL", "MAIL_USE_TLS")}.get(
        conf.MAIL_PORT, ("", "")
    )
    if wrong and getattr(conf, wrong) and not getattr(conf, right):
        sentence = _("%(wrong)s is on with port %(port)s, at which mail servers speak STARTTLS.")
        if right == "MAIL_USE_SSL":
            sentence = _("%(wrong)s is on with port %(port)s, at which mail servers begin with TLS.")
        hint = _("Set %(right)s to True and %(wrong)s to False, or correct %(name)s.")
        values = {"wrong": conf.source(wrong), "right": conf.source(right), "port": conf.MAIL_PORT}
        yield checks.Warning(
            sentence % values, hint=hint % {**values, "name": conf.source("MAIL_PORT")}, id="flasky.W009"
        )


def check_names() -> Iterator[checks.CheckMessage]:
    """Find what looks like one of ours and is none; what resembles none may be another app's."""
    for name in dir(settings):
        nearest = get_close_matches(name, NAMES, 1, cutoff=0.8) if name.startswith(("MAIL_", "FLASKY_MAIL_")) else []
        if nearest and name not in NAMES:
            yield checks.Warning(
                _("%(name)s is set, and the outbox has no such setting: it counts for nothing.") % {"name": name},
                hint=_("Did you mean %(meant)s? Correct the name, or remove %(name)s.")
                % {"meant": nearest[0], "name": name},
                id="flasky.W007",
            )


def check_outbox() -> Iterator[checks.CheckMessage]:
    """Find a mistyped name of the outbox, by which no mail could be sent; what resembles it not is another's."""
    for setting, path in backends_of_the_project().items():
        nearest = get_close_matches(path, [OUTBOX, *TRANSPORTS.values()], 1) if isinstance(path, str) else []
        if nearest == [OUTBOX] and not callable(_imported(path)):
            yield checks.Error(
                _("%(name)s is %(path)s, and there is no such e-mail backend: no mail can be sent.")
                % {"name": setting, "path": path},
                hint=_("Did you mean %(name)s?") % {"name": OUTBOX},
                id="flasky.E033",
            )


def check_erase_with() -> Iterator[checks.CheckMessage]:
    for label in conf.MAIL_ERASE_WITH:
        try:
            apps.get_model(label)
        except (AttributeError, LookupError, ValueError):
            yield checks.Error(
                _("MAIL_ERASE_WITH names %(label)r, and there is no such model: the mails about none are erased.")
                % {"label": label},
                hint=_("Write app and model as in AUTH_USER_MODEL, for example accounts.User."),
                id="flasky.E043",
            )


def check_mailers() -> Iterator[checks.CheckMessage]:
    if lacks_transport() and not conf.is_set("MAIL_TRANSPORT"):
        yield checks.Warning(
            _(
                "MAILERS has the outbox and no alias `transport`: nobody has said which server takes the mail out of "
                "it."
            ),
            hint=_(
                'Add to MAILERS "transport": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", '
                '"OPTIONS": {"host": "smtp.example.com"}}.'
            ),
            id="flasky.W008",
        )


def check_transport() -> Iterator[checks.CheckMessage]:
    path = conf.MAIL_TRANSPORT
    values = {"name": conf.source("MAIL_TRANSPORT"), "path": path}
    if path == OUTBOX:
        yield checks.Error(
            _("%(name)s is %(path)s: the outbox would deliver into itself, without end.") % values,
            hint=_("Name the backend behind the outbox, such as smtp."),
            id="flasky.E013",
        )
    try:
        is_backend = callable(import_string(path))
        wrong = "" if is_backend else _("%(name)s leads to %(path)s, which is no class of an e-mail backend.") % values
    except Exception as error:  # the code of a module may raise anything
        sentence = _("%(name)s leads to %(path)s, which cannot be imported: %(reason)s.")
        wrong = sentence % {**values, "reason": _reason(error)}
    if wrong:
        names = [*TRANSPORTS, *TRANSPORTS.values(), *_providers()]
        if package := missing_package(path):
            sentence = _("%(name)s leads to %(path)s, for which the package %(package)s is missing.")
            yield checks.Error(
                sentence % {**values, "package": package.name},
                hint=_('Install it: pip install "%(package)s"; or choose another MAIL_TRANSPORT.')
                % {"package": package.extra},
                id="flasky.E041",
            )
            return
        hint = _(
            "Use %(names)s, the name of an Anymail provider (mailgun, postmark, …) or a dotted path; install or "
            "correct what the message names."
        )
        hint = joined(hint % {"names": listed(TRANSPORTS)}, _did_you_mean(path, names))
        yield checks.Error(wrong, hint=hint, id="flasky.E009")
        return
    if conf.MAIL_USE_TLS and conf.MAIL_USE_SSL:
        return  # reported above; the backend cannot be made
    try:
        backend = new_transport().backend
    except Exception as error:  # a backend may refuse its settings with anything
        said = " ".join(str(error).split())
        hint = _(
            "Anymail's settings are in ANYMAIL; for Flasky itself they come from the environment with that prefix, for "
            "example %(variable)s=…"
        )
        yield checks.Error(
            _("%(name)s %(path)s does not accept its settings: %(reason)s") % {**values, "reason": said},
            hint=hint % {"variable": variable_in(said, import_string(path))},
            id="flasky.E010",
        )
    else:
        for lack in what_lacks(backend):
            wrong, hint = (translation.gettext(each) % {**values, **lack.values} for each in (lack.wrong, lack.hint))
            yield checks.Error(wrong, hint=hint, id="flasky.E042")
    if not settings.DEBUG and path in STAY_HERE:
        yield checks.Warning(
            _("%(name)s is %(transport)s while DEBUG is off: no mail leaves this machine.")
            % {**values, "transport": STAY_HERE[path]},
            hint=_("Set %(name)s to smtp or to a provider; .env may have it from development.") % values,
            id="flasky.W002",
        )


def check_dispatcher() -> Iterator[checks.CheckMessage]:
    path = conf.MAIL_DISPATCHER
    try:
        dispatcher = import_module(path)
        missing = [name for name in ("wake", "serve", "stop") if not hasattr(dispatcher, name)]
    except Exception as error:  # the code of a module may raise anything
        extra = next((name for name, ours in DISPATCHERS.items() if ours == path), "")  # what lacks is its extra's
        install = _('Install it: pip install "flasky-mail[%(extra)s]"; for Flasky itself -r requirements-%(extra)s.txt')
        names = _("Use %(names)s or the dotted path of a module.") % {"names": listed(DISPATCHERS)}
        yield checks.Error(
            _("MAIL_DISPATCHER leads to %(path)s, which cannot be imported: %(reason)s.")
            % {"path": path, "reason": _reason(error)},
            hint=install % {"extra": extra} if extra else joined(names, _did_you_mean(path, DISPATCHERS)),
            id="flasky.E011",
        )
        return
    if missing:
        yield checks.Error(
            _("MAIL_DISPATCHER leads to %(path)s, which lacks functions: %(names)s.")
            % {"path": path, "names": listed(missing)},
            hint=_("A dispatcher is a module with wake(), serve() and stop(); see flasky/mail/dispatchers."),
            id="flasky.E011",
        )
    try:
        yield from map(_translated, list(getattr(dispatcher, "check", tuple)()))
    except Exception as error:  # the code of a module may raise anything
        yield checks.Error(
            _("MAIL_DISPATCHER leads to %(path)s, whose check() has failed: %(reason)s.")
            % {"path": path, "reason": _reason(error)},
            hint=_("Correct that function: it returns a list of Django's check messages."),
            id="flasky.E011",
        )


def check_metrics() -> Iterator[checks.CheckMessage]:
    token = conf.MAIL_METRICS_TOKEN
    if token and find_spec("prometheus_client") is None:
        yield checks.Error(
            _("MAIL_METRICS_TOKEN is set, and the package that writes the metrics is not installed."),
            hint=_(
                'pip install "flasky-mail[metrics]"; for Flasky itself -r requirements-metrics.txt. '
                "Or remove MAIL_METRICS_TOKEN."
            ),
            id="flasky.E030",
        )
    if token and not (len(token) >= MIN_TOKEN and TOKEN.fullmatch(token)):
        yield checks.Error(
            _("MAIL_METRICS_TOKEN must be %(count)s characters or more, without spaces and without quotes.")
            % {"count": MIN_TOKEN},
            hint=_('python -c "import secrets; print(secrets.token_urlsafe(32))" makes one.'),
            id="flasky.E031",
        )
    for path in conf.MAIL_METRICS_ALSO if token and find_spec("prometheus_client") else ():
        if reason := _why_not_imported(path):
            yield checks.Error(
                _("MAIL_METRICS_ALSO names %(path)r, which cannot be imported: %(reason)s.")
                % {"path": path, "reason": reason},
                hint=_("Write the dotted path of a function that returns metrics of prometheus_client, or remove it."),
                id="flasky.E045",
            )


def check_language_of() -> Iterator[checks.CheckMessage]:
    path = conf.MAIL_LANGUAGE_OF
    if path and (reason := _why_not_imported(path)):
        yield checks.Error(
            _("MAIL_LANGUAGE_OF is %(path)r, which cannot be imported: %(reason)s.") % {"path": path, "reason": reason},
            hint=_(
                "Write the dotted path of a function that returns the language of a list of addresses, or remove it."
            ),
            id="flasky.E047",
        )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _why_not_imported(path: str) -> str:
    try:
        import_string(path)
    except Exception as error:  # the code of a module may raise anything
        return _reason(error)
    return ""


def _translated(message: checks.CheckMessage) -> checks.CheckMessage:
    """Return a dispatcher's message, which is only marked for translation, in the language of whoever reads it."""
    message.msg = translation.gettext(message.msg)
    message.hint = translation.gettext(message.hint) if message.hint else None
    return message


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
    return _("Did you mean %(name)s?") % {"name": known[close[0]]} if close else ""
