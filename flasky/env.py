"""Read the environment, and .env: nobody else does."""

import os
import re
from difflib import get_close_matches
from email.utils import getaddresses, quote
from io import StringIO
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import environ
from django.utils import translation
from django.utils.translation import gettext_noop as _

BASE_DIR = Path(__file__).resolve().parent.parent
SITE_HOST = re.compile(r"(\w[\w.-]*|\[[0-9a-fA-F:.]+\])(:\d{1,5})?")
ENV_FILE = Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env")

# Values that could not be read, as (name, value, what it must be). A system check reports them: a traceback from
# here would hide the name of the setting from whoever has to mend it.
UNREADABLE_SETTINGS: list[tuple[str, str, str]] = []

ENVIRONMENT = environ.Env.ENVIRON
NAMES_IN_ENV_FILE: list[str] = []  # in their order; a name may be there twice
NAMES_READ = {"ENV_FILE"}  # those that mean anything to us


class Phrase(str):
    """Words for a person, in English; whoever shows them translates them: nothing can be while settings are read."""

    phrase: str
    values: dict[str, object]
    meant: str  # the nearest name that there is

    def __new__(cls, phrase, meant="", **values):
        new = super().__new__(cls, phrase % values if values else phrase)
        new.phrase, new.values, new.meant = phrase, values, meant
        return new

    def translated(self):
        said = translation.gettext(self.phrase)
        return said % self.values if self.values else said


def load_env_file():
    """Add the lines of the .env file to the environment; what is set there already wins."""
    try:
        lines = ENV_FILE.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not os.environ.get("ENV_FILE"):
            return
        UNREADABLE_SETTINGS.append(("ENV_FILE", str(ENV_FILE), Phrase(_("a text file in UTF-8"))))
        return
    assignments = {}  # what is written last counts, as it does in a shell
    for number, line in enumerate(map(str.strip, lines), 1):
        name, equals, _rest = line.removeprefix("export ").partition("=")
        if equals and name.isascii() and name.isidentifier():
            NAMES_IN_ENV_FILE.append(name)
            assignments[name] = line
        elif line and not line.startswith("#"):
            # The line itself is not repeated: it may hold a password.
            expected = Phrase(_("NAME=value, with no space around the equals sign"))
            where = Phrase(_("%(file)s, line %(number)s"), file=ENV_FILE, number=number)
            UNREADABLE_SETTINGS.append(("ENV_FILE", where, expected))
    # Only these: django-environ logs a line that it cannot read, password and all.
    environ.Env.read_env(StringIO("\n".join(assignments.values())))


def read(name, default, parse=str):
    """Return the setting `name` from the environment; the default if it is empty, absent or cannot be parsed.

    Values are taken literally: django-environ's own look-up would replace a password that starts with `$`.
    """
    NAMES_READ.add(name)
    value = ENVIRONMENT.get(name, "").strip()
    if not value:
        return default
    try:
        return parse(value)
    except ValueError as error:
        UNREADABLE_SETTINGS.append((name, value[:60], error.args[0]))
        return default


def whole_number(value):
    if not value.isascii() or not value.isdigit():
        raise ValueError(Phrase(_("a whole number")))
    return int(value)


def whole_numbers(value):
    try:
        return [whole_number(item) for item in comma_separated(value)]
    except ValueError as error:
        raise ValueError(Phrase(_("whole numbers, with commas, such as 30,200,1000"))) from error


def positive_number(value):
    try:
        number = float(value)
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise ValueError(Phrase(_("a number that is not negative, such as 20 or 0.5")))
    return number


def proxies(value):
    """Return addresses and networks, such as 10.0.0.7 and 10.0.0.0/8; `*` alone is everybody."""
    found = comma_separated(value)
    if found == ["*"]:
        return found
    try:
        return [str(ip_network(item, strict=False)) for item in found]
    except ValueError as error:
        expected = Phrase(_("addresses or networks such as 127.0.0.1 or 10.0.0.0/8, with commas, or *"))
        raise ValueError(expected) from error


def queue_name(value):
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", value):  # what each broker can carry
        raise ValueError(Phrase(_("up to 200 letters, digits, dots, dashes and underscores")))
    return value


def switch(value):
    """Return True or False; anything else is an error: a mistyped MAIL_USE_TLS must not turn encryption off."""
    if value.lower() in environ.Env.BOOLEAN_TRUE_STRINGS:
        return True
    if value.lower() in ("false", "off", "no", "n", "0"):
        return False
    raise ValueError(Phrase(_("True or False")))


def one_of(*choices):
    def parse(value):
        value = value.lower().replace("_", "-")
        if value not in choices:
            others, last = ", ".join(choices[:-1]), choices[-1]
            raise ValueError(
                Phrase(_("%(others)s or %(last)s"), meant=nearest_name(value, choices), others=others, last=last)
            )
        return value

    return parse


def time_zone(value):
    try:
        ZoneInfo(value)
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:  # a path, a folder or no file of the time zones
        nearest = nearest_name(value, available_timezones())
        raise ValueError(Phrase(_("a time zone, such as UTC or Europe/Berlin"), meant=nearest)) from error
    return value


def site_url(value):
    """Return scheme, host and port; the paths are those of urls.py."""
    try:
        found = urlsplit(value.rstrip("/"))
        is_whole = found.scheme in ("http", "https") and found.hostname and (found.port or 80) > 0
    except ValueError:
        is_whole = False
    if not is_whole or f"{found.scheme}://{found.netloc}" != value.rstrip("/") or not SITE_HOST.fullmatch(found.netloc):
        raise ValueError(Phrase(_("scheme and host, with nothing behind them, such as https://www.example.com")))
    return f"{found.scheme}://{found.netloc.lower()}"


def nearest_name(value, names, cutoff=0.6):
    """Return the name that was meant, whatever its case; none if none resembles it."""
    known = {name.lower(): name for name in names}
    return next((known[found] for found in get_close_matches(value.lower(), known, 1, cutoff)), "")


def names(value):
    return [] if value == "-" else comma_separated(value)


def comma_separated(value):
    return [item.strip() for item in value.split(",") if item.strip()]


def addresses(value):
    """Return the addresses of a comma-separated list; a comma inside a quoted display name does not split it."""
    pairs = [(name, address) for name, address in getaddresses([value.strip(", ")]) if address]
    return [f'"{quote(name)}" <{address}>' if name else address for name, address in pairs] or [value]
