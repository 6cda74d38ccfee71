"""Give each setting of the app its value: the project's own, else what Django has for it, else the default.

Nothing is read before it is asked for, so that a test's override counts at once.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.compat import is_another_asked_for, relay_option

Value = TypeVar("Value")

TRANSPORTS = {
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
    "console": "django.core.mail.backends.console.EmailBackend",
    "file": "django.core.mail.backends.filebased.EmailBackend",
    "locmem": "django.core.mail.backends.locmem.EmailBackend",
    "dummy": "django.core.mail.backends.dummy.EmailBackend",
}
TYPES: tuple[tuple[type, Any, tuple[type, ...]], ...] = (  # of a default; what a value must be
    (bool, gettext_lazy("%(name)s is %(value)s; it must be True or False."), (bool,)),
    (int, gettext_lazy("%(name)s is %(value)s; it must be a number."), (int, float)),
    (float, gettext_lazy("%(name)s is %(value)s; it must be a number."), (int, float)),
    (str, gettext_lazy("%(name)s is %(value)s; it must be text."), (str, Path)),
    (dict, gettext_lazy("%(name)s is %(value)s; it must be a dictionary."), (dict,)),
    (tuple, gettext_lazy("%(name)s is %(value)s; it must be a list."), (list, tuple)),
)
DISPATCHERS = {name: f"flasky.mail.dispatchers.{name}" for name in ("threads", "inline", "celery", "none")}
SWITCHES = ("True", "true", "1", "yes", "on", "")  # text, as from an environment, with which Django does what is meant


class Setting(Generic[Value]):
    """A setting with its default."""

    def __init__(self, default: Value) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, conf: None, owner: type) -> "Setting[Value]": ...
    @overload
    def __get__(self, conf: object, owner: type) -> Value: ...
    def __get__(self, conf: object | None, owner: type) -> Any:
        if conf is None:
            return self
        value = getattr(settings, self.name, None)  # once: whoever delivers asks some forty times a mail
        return self.fallback() if value is None else value

    def is_set(self) -> bool:
        return getattr(settings, self.name, None) is not None

    def fallback(self) -> Any:
        return self.default

    def source(self) -> str:
        """Return the name of the setting that a person has to look at."""
        return self.name


class OrDjangos(Setting[Value]):
    """A setting whose place another of Django's takes where the project has none of ours."""

    def __init__(self, default: Value, djangos: str) -> None:
        super().__init__(default)
        self.djangos = djangos

    def fallback(self) -> Any:
        return getattr(settings, self.djangos, None) or self.default

    def source(self) -> str:
        return self.name if self.is_set() else self.djangos


class SubjectPrefix(OrDjangos[str]):
    """What subjects begin with, without the space at the end that Django's setting has: whoever uses it adds one."""

    def __get__(self, conf: object | None, owner: type) -> Any:
        value = super().__get__(conf, owner)
        return value.rstrip(" ") if isinstance(value, str) else value


class OfMailer(Setting[Value]):
    def __get__(self, conf: object | None, owner: type) -> Any:
        if conf is not None and is_another_asked_for():
            return self.fallback()
        return super().__get__(conf, owner)

    def is_set(self) -> bool:
        """Say that ours, which is about the relay behind the outbox, is not set while another mailer is asked for."""
        return super().is_set() and not is_another_asked_for()


class OfRelay(OfMailer[Value]):
    """A setting for which Django has an option: in a setting of its own, or in MAILERS for the alias `transport`."""

    def __init__(self, default: Value, option: str, djangos: str) -> None:
        super().__init__(default)
        self.option, self.djangos = option, djangos

    def fallback(self) -> Any:
        value, _ = relay_option(self.option, self.djangos)
        return self.default if value is None else self._as_django_takes_it(value)

    def _as_django_takes_it(self, value: Any) -> Any:
        """Return a port that is text as a number, and a switch that is text or a number as True or False.

        Django takes any text for True, "False" too. Nobody means that: it stays as it is, for the checks.
        """
        if self.option == "port" and isinstance(value, str) and value.isascii() and value.isdecimal():
            return int(value)
        if isinstance(self.default, bool) and (isinstance(value, int) or value in SWITCHES):
            return bool(value)
        return value

    def source(self) -> str:
        return self.name if self.is_set() else relay_option(self.option, self.djangos)[1]


class Backend(OfMailer[str]):
    """The dotted path of the back end behind the outbox; without one of ours, that of the alias in MAILERS."""

    def __get__(self, conf: object | None, owner: type) -> Any:
        value = super().__get__(conf, owner)
        if not isinstance(value, str) or "." in value:
            return value
        return TRANSPORTS.get(value, f"anymail.backends.{value}.EmailBackend")

    def fallback(self) -> Any:
        return relay_option("BACKEND", self.name)[0] or self.default

    def source(self) -> str:
        return self.name if self.is_set() else relay_option("BACKEND", self.name)[1]


class Dispatcher(Setting[str]):
    """The dotted path of a dispatcher's module, for which four have a short name."""

    def __get__(self, conf: object | None, owner: type) -> Any:
        value = super().__get__(conf, owner)
        return DISPATCHERS.get(value, value) if isinstance(value, str) else value


class OfDispatcher(Setting[Value]):
    """A setting that only one dispatcher reads, whose own check() looks at it."""


class Conf:
    MAIL_TRANSPORT = Backend("smtp")
    MAIL_DISPATCHER = Dispatcher("threads")
    MAIL_WORKERS = Setting(4)  # threads, and connections, per process
    MAIL_MAX_CONNECTIONS = Setting(0)  # of all processes together; 0: no limit
    MAIL_RATE = Setting[float](0)  # messages per second, of all processes together; 0: no limit
    MAIL_MAX_RECIPIENTS = Setting(0)  # in one SMTP transaction; 0: no limit but what the relay says
    # Messages stored in a minute, an hour and a day; what is beyond is held. 0, or nothing: no limit
    MAIL_BUDGET_RECIPIENT = Setting[tuple[int, ...]]((30, 200, 1000))  # for each
    MAIL_BUDGET_KIND = Setting[tuple[int, ...]]((3000, 30_000, 100_000))  # of each
    MAIL_BUDGET_TOTAL = Setting[tuple[int, ...]]((6000, 60_000, 200_000))
    MAIL_BUDGET_URGENT = Setting[tuple[int, ...]]((600, 6000, 20_000))  # of all urgent ones, which have this instead
    MAIL_BUDGET_HELD = Setting(10_000)  # messages held beyond the budget, until no more are taken; 0: no limit
    # What is beyond so many mails of a kind to a recipient is gathered, and told of in one digest; see digests/
    MAIL_DIGEST_AFTER = Setting(5)  # mails within MAIL_DIGEST_WINDOW that leave by themselves; 0: all do
    MAIL_DIGEST_WINDOW = Setting(600)  # s
    MAIL_DIGEST_WAIT = Setting(300)  # s that a gathered mail waits at most
    MAIL_SWEEP_INTERVAL = Setting[float](15)  # s between two looks for messages that nobody woke us for
    MAIL_STOP_TIMEOUT = Setting[float](15)  # s for the mails on the wire when the process is told to stop
    MAIL_OVERDUE = Setting[float](300)  # s after which a due message that nobody delivers is reported
    MAIL_READY_AGE = Setting(900)  # s due until /readyz complains; 0: it never does
    MAIL_METRICS_TOKEN = Setting("")  # who has it may read /metrics; without one there is none
    MAIL_METRICS_ALSO = Setting[tuple[str, ...]](())  # dotted paths of functions that return metrics of other apps
    MAIL_LEASE = Setting[float](60)  # s for which a claim is safe from others; renewed while its holder lives
    MAIL_GIVE_UP_DAYS = Setting(5)  # days of temporary refusals until a message fails
    MAIL_MAX_SIZE = Setting(25_000_000)  # bytes on the wire, attachments included
    MAIL_PRUNE = Setting(True)  # once a day whoever delivers removes what is old; False: only prune_mail does
    MAIL_KEEP_DAYS = Setting(90)  # days until what is finished is removed; 0: it never is
    MAIL_KEEP_BODIES = Setting(14)  # days until its body is removed; 0: it never is by itself
    MAIL_ERASE_WITH = Setting[tuple[str, ...]](())  # models, such as accounts.User; what is about one goes with it
    MAIL_SENSITIVE_KINDS = Setting[tuple[str, ...]](("error", "*password_reset*"))  # as fnmatch has them
    MAIL_LANGUAGE_OF = Setting("")  # dotted path of a function: of addresses, it returns the language or ""
    MAIL_SAMPLES = Setting[dict[str, str]]({})  # kind of mail: the dotted path of its sample, see previews/kinds.py

    MAIL_SERVER = OfRelay("localhost", "host", "EMAIL_HOST")
    MAIL_PORT = OfRelay(25, "port", "EMAIL_PORT")
    MAIL_USE_TLS = OfRelay(False, "use_tls", "EMAIL_USE_TLS")
    MAIL_USE_SSL = OfRelay(False, "use_ssl", "EMAIL_USE_SSL")
    MAIL_USERNAME = OfRelay("", "username", "EMAIL_HOST_USER")
    MAIL_PASSWORD = OfRelay("", "password", "EMAIL_HOST_PASSWORD")
    MAIL_TIMEOUT = OfRelay[float](30, "timeout", "EMAIL_TIMEOUT")  # s, to connect and for each reply
    MAIL_EHLO_NAME = Setting("")  # what this host calls itself; without one its full name, or its address
    MAIL_FILE_PATH = OfRelay("sent-mail", "file_path", "EMAIL_FILE_PATH")  # where the transport `file` writes

    FLASKY_MAIL_SENDER = OrDjangos("webmaster@localhost", "DEFAULT_FROM_EMAIL")
    FLASKY_MAIL_SUBJECT_PREFIX = SubjectPrefix("", "EMAIL_SUBJECT_PREFIX")  # a space follows it

    CELERY_BROKER_URL = OfDispatcher("redis://127.0.0.1:6379/0")  # only with MAIL_DISPATCHER=celery
    CELERY_TASK_DEFAULT_QUEUE = OfDispatcher("mail")  # one for each project on the broker

    def is_set(self, name: str) -> bool:
        """Return whether the project has given the setting a value under our name."""
        return vars(Conf)[name].is_set()

    def source(self, name: str) -> str:
        """Return the setting of the project from which this one has its value, for a sentence that names it."""
        return vars(Conf)[name].source()

    def check_type(self, name: str) -> Iterator[checks.Error]:
        """Find that the setting has a value of another type than its default."""
        value, default = getattr(self, name), vars(Conf)[name].default
        sentence, allowed = next(
            (sentence, allowed) for known, sentence, allowed in TYPES if isinstance(default, known)
        )
        if isinstance(value, allowed) and (isinstance(default, bool) or not isinstance(value, bool)):
            return
        shown = _("(not shown)") if name.endswith(("PASSWORD", "TOKEN", "URL")) else f"{value!r}"
        yield checks.Error(
            sentence % {"name": self.source(name), "value": shown},
            hint=_("For example %(value)r, the default.") % {"value": default},
            id="flasky.E032",
        )


conf = Conf()
NAMES = tuple(name for name, value in vars(Conf).items() if isinstance(value, Setting))
