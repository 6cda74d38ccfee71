"""Find what a provider's back end lacks before the first mail does: a package, a key, a URL, a region."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop as _

from flasky.mail.transports.providers import PROVIDERS


@dataclass(frozen=True)
class Package:
    name: str
    extra: str  # what pip installs


class Lack(NamedTuple):
    """Two sentences that are only marked for translation, about the setting `name`, which is `path`."""

    wrong: str
    hint: str
    values: dict[str, Any] = {}


ANYMAIL = Package("django-anymail", "flasky-mail[anymail]")
BOTO3 = Package("boto3", "django-anymail[amazon-ses]")


def missing_package(path: str) -> Package | None:
    """Return the package that the back end at this dotted path needs and this Python does not have."""
    if not path.startswith("anymail."):
        return None
    if find_spec("anymail") is None:
        return ANYMAIL
    return BOTO3 if path.startswith("anymail.backends.amazon_ses.") and find_spec("boto3") is None else None


def what_lacks(backend: Any) -> Iterator[Lack]:
    """Yield what is wrong with the settings of a provider's back end; keys are named, and never shown."""
    name = getattr(backend, "esp_name", "")
    if name not in PROVIDERS:
        return
    for attribute in PROVIDERS[name].needs:
        variable = _variable(name, attribute)
        value = getattr(backend, attribute, None)
        if attribute != "api_url" and not _is_key(value):
            yield Lack(
                _("%(name)s is %(path)s, and %(variable)s is empty, or has a space or a character that no key has."),
                _("Copy it again from the provider's pages into %(variable)s."),
                {"variable": variable},
            )
    url = getattr(backend, "api_url", None)
    if url is not None and not _is_url(url):
        yield Lack(
            _("%(name)s is %(path)s, and %(variable)s is %(url)r, which is no URL."),
            _("%(variable)s begins with https:// and has a host."),
            {"variable": _variable(name, "api_url"), "url": url},
        )
    if name == "Amazon SES":
        yield from _without_region(backend)


def variable_in(said: str, backend: Any) -> str:
    """Return the variable that Anymail's words for a missing setting mean; Mailgun's key as an example if it is none.

    Under MAILERS they name an option, which the variable gives as well.
    """
    if variable := re.search(r"ANYMAIL_[A-Z]\w+", said):
        return variable[0]
    option, name = re.search(r"must define '(\w+)'", said), getattr(backend, "esp_name", "")
    return _variable(name, option[1]) if option and isinstance(name, str) and name else "ANYMAIL_MAILGUN_API_KEY"


def _variable(provider: str, setting: str) -> str:
    return f"ANYMAIL_{provider}_{setting}".upper().replace(" ", "_")


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and value != "" and " " not in value


def _is_url(value: Any) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (AttributeError, TypeError, ValueError):
        return False


def _without_region(backend: Any) -> Iterator[Lack]:
    """Look where boto3 looks for a region and for keys, but not on the network: a role of the machine has none here."""
    try:
        session = import_module("boto3.session").Session(**backend.session_params)
    except Exception as error:  # of boto3, which has many; a profile that is not there, for example
        yield Lack(
            _("%(name)s is %(path)s, and boto3 does not take its settings: %(reason)s."),
            _("Look at AWS_PROFILE and AWS_…."),
            {"reason": " ".join(str(error).split())},
        )
        return
    if not (session.region_name or backend.client_params.get("region_name")):
        yield Lack(
            _("%(name)s is %(path)s, and no region is set."),
            _(
                "Set AWS_DEFAULT_REGION, or region_name in ANYMAIL_AMAZON_SES_CLIENT_PARAMS, such as "
                '{"region_name": "eu-central-1"}.'
            ),
        )
    given = {name for name in ("aws_access_key_id", "aws_secret_access_key") if backend.client_params.get(name)}
    if len(given) == 1:
        missing = "AWS_SECRET_ACCESS_KEY" if "aws_access_key_id" in given else "AWS_ACCESS_KEY_ID"
        yield Lack(
            _("%(name)s is %(path)s, and %(missing)s is missing in ANYMAIL_AMAZON_SES_CLIENT_PARAMS."),
            _("A key has two parts: give both."),
            {"missing": missing},
        )
