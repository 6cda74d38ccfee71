"""Hide the values of settings that no report may repeat, wherever an error has put them."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

from flasky.site.logs import mask

# Their values may be read in a report. Every other setting is left out of it: a list of names that look secret forgets
# the next one.
HARMLESS = frozenset(
    {
        "ALLOWED_HOSTS",
        "APPEND_SLASH",
        "ASGI_APPLICATION",
        "AUTHENTICATION_BACKENDS",
        "AUTH_PASSWORD_VALIDATORS",
        "AUTH_USER_MODEL",
        "CSRF_TRUSTED_ORIGINS",
        "DEBUG",
        "HTTPS",
        "INSTALLED_APPS",
        "LANGUAGE_CODE",
        "MAIL_DISPATCHER",
        "MAIL_TRANSPORT",
        "MIDDLEWARE",
        "ROOT_URLCONF",
        "SECURE_SSL_REDIRECT",
        "SESSION_ENGINE",
        "SETTINGS_MODULE",
        "TIME_ZONE",
        "USE_TZ",
        "WSGI_APPLICATION",
    }
)
# What these are called is a path of Django's or ours, no secret, although it is called API, KEY, URL or PASS.
NO_SECRETS = HARMLESS | {"LOGIN_URL", "LOGIN_REDIRECT_URL", "LOGOUT_REDIRECT_URL", "MEDIA_URL", "STATIC_URL"}
NO_SECRETS |= {"CSRF_HEADER_NAME", "CSRF_FAILURE_VIEW", "FORMS_URLFIELD_ASSUME_HTTPS", "PASSWORD_HASHERS"}
SECRET_NAME = re.compile(r"ANYMAIL|API|AUTH|BROKER|CREDENTIAL|DSN|KEY|PASS|SECRET|SIGNATURE|TOKEN|URL|WEBHOOK", re.I)
PASSWORD_IN_URL = re.compile(r"://[^/?#@:]*:(.+)@|://([^/?#@:]+)@", re.S)
LONG_PATH = 12  # characters of a webhook's URL; a shorter one is found in every second file name
SHORTEST = 4  # characters; what is shorter would be found in every second word


def hide(text: str) -> str:
    """Return `text` without any credential: those of the settings, and what looks like one."""
    found = sorted(set(_secrets()), key=len, reverse=True)  # the longest first: one may be a part of another
    if found:
        text = re.sub("|".join(map(_pattern, found)), "…", text)
    return mask(text)


def _secrets() -> Iterator[str]:
    for name in dir(settings):
        if name.isupper() and name not in NO_SECRETS:
            yield from _secrets_in(name, getattr(settings, name))


def _secrets_in(name: str, value: Any) -> Iterator[str]:
    """Yield the secret texts in a setting's value; `name` has the names on the way to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets_in(f"{name} {key}", inner)
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            yield from _secrets_in(name, inner)
    elif isinstance(value, bytes):
        yield from _secrets_in(name, value.decode("utf-8", "replace"))
    elif isinstance(value, str):
        yield from _secrets_of_text(name, value)


def _secrets_of_text(name: str, text: str) -> Iterator[str]:
    candidates = []
    if SECRET_NAME.search(name):
        # An error may quote the path of a URL, or the half of name:password, alone.
        if "://" not in text:
            candidates = [text, *text.split(":")]
        elif len(where := urlsplit(text).path) >= LONG_PATH:
            candidates = [text, where]
        else:
            candidates = [text]
    if found := PASSWORD_IN_URL.search(text):
        password = found[1] or found[2]
        candidates += [password, unquote(password)]
    yield from (candidate for candidate in candidates if len(candidate) >= SHORTEST)
    if text.lstrip().startswith(("{", "[")):
        try:
            inside = json.loads(text)
        except ValueError:
            return
        yield from _secrets_in(name, inside)


def _pattern(secret: str) -> str:
    """Return the pattern that finds the secret, unless it is a part of a longer word."""
    before, after = (r"\b" if edge.isalnum() else "" for edge in (secret[0], secret[-1]))
    return before + re.escape(secret) + after
