"""Check the site's own settings: those that cannot be read, its hosts and its origins."""

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

LABEL = r"\w[\w-]{0,62}"
SITE = re.compile(rf"\*|\.?{LABEL}(\.{LABEL})*|\[[0-9a-fA-F:.]+\]")
ORIGIN = re.compile(rf"https?://(\*\.)?{LABEL}(\.{LABEL})*(:\d+)?|https?://\[[0-9a-fA-F:.]+\](:\d+)?")


@checks.register("site")
def check_site_settings(**options: Any) -> list[checks.CheckMessage]:
    return [*check_readable(), *check_site()]


def check_readable() -> Iterator[checks.CheckMessage]:
    for name, value, expected in settings.UNREADABLE_SETTINGS:
        yield checks.Error(
            f"{name} is {value}, which cannot be read: it must be {expected}.",
            hint=f"Correct {name} in the environment or in .env, or remove it to get the default.",
            id="flasky.E001",
        )


def check_site() -> Iterator[checks.CheckMessage]:
    for host in settings.ALLOWED_HOSTS:
        if not SITE.fullmatch(host):
            yield checks.Error(
                f"ALLOWED_HOSTS has {host!r}, which is no host name.",
                hint="Write www.example.com, without https:// and without a port; several with commas.",
                id="flasky.E014",
            )
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if not ORIGIN.fullmatch(origin):
            yield checks.Error(
                f"CSRF_TRUSTED_ORIGINS has {origin!r}, which is no origin.",
                hint="Write https://www.example.com, with the scheme and without a path; several with commas.",
                id="flasky.E015",
            )
    if not settings.DEBUG and not settings.ALLOWED_HOSTS:
        yield checks.Warning(
            "ALLOWED_HOSTS is empty while DEBUG is off: every page answers 400.",
            hint="Name the site, for example ALLOWED_HOSTS=www.example.com",
            id="flasky.W004",
        )
