"""Check the site's own settings: those that cannot be read, its hosts and its origins."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.http.request import validate_host
from django.utils.translation import gettext as _

from flasky.env import Phrase
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.status.written import joined
from flasky.mail.wire.compose import envelope_address

LABEL = r"\w[\w-]{0,62}"
SITE = re.compile(rf"\*|\.?{LABEL}(\.{LABEL})*|\[[0-9a-fA-F:.]+\]")
ORIGIN = re.compile(rf"https?://(\*\.)?{LABEL}(\.{LABEL})*(:\d+)?|https?://\[[0-9a-fA-F:.]+\](:\d+)?")

# The same as Django's security.W009, which warns only.
SHORTEST_KEY = 50  # characters
WORDS_OF_EXAMPLES = (
    *("changeme", "changethis", "replaceme", "replacethis", "pleasechange", "putyour", "yoursecret", "yourkey"),
    *("randomtext", "randomstring", "secretkey", "insecure", "placeholder", "example", "keyboardcat", "notasecret"),
)


@checks.register("site")
def check_site_settings(**options: Any) -> list[checks.CheckMessage]:
    return [
        *check_readable(),
        *check_secret_key(),
        *check_site(),
        *check_site_url(),
        *check_debug(),
        *check_addresses(),
        *check_catalogues(),
    ]


def check_readable() -> Iterator[checks.CheckMessage]:
    for name, *phrases in settings.UNREADABLE_SETTINGS:
        value, expected = (each.translated() if isinstance(each, Phrase) else each for each in phrases)
        sentence = _("%(name)s is %(value)s, which cannot be read: it must be %(expected)s.")
        meant = getattr(phrases[1], "meant", "")
        question = _("Did you mean %(name)s?") % {"name": meant} if meant else ""
        yield checks.Error(
            joined(sentence % {"name": name, "value": value, "expected": expected}, question),
            hint=_("Correct %(name)s in the environment or in .env, or remove it to get the default.") % {"name": name},
            id="flasky.E001",
        )


def check_secret_key() -> Iterator[checks.CheckMessage]:
    """Say of each key that somebody could guess it: whoever has it can sign cookies. The keys are not repeated."""
    for name, keys in [
        ("SECRET_KEY", [settings.SECRET_KEY]),
        ("SECRET_KEY_FALLBACKS", settings.SECRET_KEY_FALLBACKS),
    ]:
        if not settings.DEBUG and any(map(is_weak, keys)):
            yield checks.Error(
                _(
                    "%(name)s can be guessed: it has fewer than %(count)s characters, or always the same, or is the "
                    "text that stood in an example."
                )
                % {"name": name, "count": SHORTEST_KEY},
                hint=_('A good one comes from: python -c "import secrets; print(secrets.token_urlsafe(50))"'),
                id="flasky.E050",
            )


def is_weak(key: str) -> bool:
    triples = {key[start : start + 3] for start in range(len(key) - 2)}
    repeats = len(triples) < len(key) / 2  # chance makes hardly a group of three characters twice
    said = re.sub("[^a-z]", "", key.lower())
    return len(key) < SHORTEST_KEY or repeats or any(words in said for words in WORDS_OF_EXAMPLES)


def check_debug() -> Iterator[checks.CheckMessage]:
    """Pages with details, and the mailbox, are for whoever sits at this machine."""
    for host in settings.ALLOWED_HOSTS if settings.DEBUG else ():
        if not is_local(host):
            yield checks.Error(
                _("DEBUG is on while ALLOWED_HOSTS has %(host)r: whoever reaches it could read every mail and setting.")
                % {"host": host},
                hint=_("Turn DEBUG off, or name nothing but localhost and 127.0.0.1, which are allowed anyway."),
                id="flasky.E051",
            )


def is_local(host: str) -> bool:
    if host == "testserver" or f".{host.strip('.')}".endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_site() -> Iterator[checks.CheckMessage]:
    for host in settings.ALLOWED_HOSTS:
        if not SITE.fullmatch(host):
            yield checks.Error(
                _("ALLOWED_HOSTS has %(host)r, which is no host name.") % {"host": host},
                hint=_("Write www.example.com, without https:// and without a port; several with commas."),
                id="flasky.E014",
            )
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if not ORIGIN.fullmatch(origin):
            yield checks.Error(
                _("CSRF_TRUSTED_ORIGINS has %(origin)r, which is no origin.") % {"origin": origin},
                hint=_("Write https://www.example.com, with the scheme and without a path; several with commas."),
                id="flasky.E015",
            )
    if not settings.DEBUG and not settings.ALLOWED_HOSTS:
        yield checks.Warning(
            _("ALLOWED_HOSTS is empty while DEBUG is off: every page answers 400."),
            hint=_("Name the site, for example ALLOWED_HOSTS=www.example.com"),
            id="flasky.W004",
        )


def check_site_url() -> Iterator[checks.CheckMessage]:
    """Find an address at which the links of the mails would lead nowhere."""
    url = settings.FLASKY_SITE_URL
    host = urlsplit(url).hostname or ""
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [host])
    if url and not validate_host(f"[{host}]" if ":" in host else host, allowed):
        yield checks.Warning(
            _(
                "FLASKY_SITE_URL is %(url)s, and ALLOWED_HOSTS has no %(host)s: the links in the mails are answered "
                "with 400."
            )
            % {"url": url, "host": host},
            hint=_("Add %(host)s to ALLOWED_HOSTS, or correct FLASKY_SITE_URL.") % {"host": host},
            id="flasky.W054",
        )
    if url.startswith("http://") and settings.HTTPS:
        yield checks.Warning(
            _("FLASKY_SITE_URL is %(url)s while HTTPS is on: the links in the mails begin without encryption.")
            % {"url": url},
            hint=_("Write FLASKY_SITE_URL=https://%(host)s, or set HTTPS to False.")
            % {"host": url.removeprefix("http://")},
            id="flasky.W055",
        )


def check_addresses() -> Iterator[checks.CheckMessage]:
    named = [("FLASKY_ADMIN", address) for address in settings.FLASKY_ADMIN]
    for name, address in [*named, ("FLASKY_MAIL_SENDER", settings.FLASKY_MAIL_SENDER)]:
        try:
            envelope_address(address)
        except ValueError as error:
            sentence = _("%(name)s has %(address)r, to which no mail can be sent or answered.")
            yield checks.Error(
                joined(sentence % {"name": name, "address": address}, in_their_words(str(error))),
                hint=_("Write ann@example.com or Ann <ann@example.com>; FLASKY_ADMIN may have several, with commas."),
                id="flasky.E007",
            )
    if any(character in settings.FLASKY_MAIL_SUBJECT_PREFIX for character in "\r\n"):
        yield checks.Error(
            _("FLASKY_MAIL_SUBJECT_PREFIX has a line break, which no mail's subject can have."),
            hint=_("Write it on one line, for example FLASKY_MAIL_SUBJECT_PREFIX=[Flasky]"),
            id="flasky.E008",
        )


def check_catalogues() -> Iterator[checks.CheckMessage]:
    """Find a language that nobody is offered, because its catalogue is not compiled."""
    for catalogue in settings.LOCALE_PATHS[0].glob("*/LC_MESSAGES/django.po"):
        if not catalogue.with_suffix(".mo").is_file():
            yield checks.Warning(
                _("%(file)s is not compiled: nobody is offered its language.") % {"file": catalogue},
                hint=_("Run python -m django compilemessages in the folder of manage.py."),
                id="flasky.W057",
            )
