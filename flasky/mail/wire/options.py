"""Read what an email has beyond Django's own attributes: what Anymail hands to a provider, and when to send it."""

import json
import sys
from collections.abc import Mapping, Set
from contextlib import suppress
from datetime import date, datetime, timezone
from email.utils import parsedate_to_datetime
from types import NoneType
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.functional import Promise
from django.utils.timezone import get_current_timezone, is_naive, make_aware

NUL = "\0"

# All that Anymail reads but `send_at`: the outbox waits itself, and tells no provider.
PROVIDER_OPTIONS = (
    "envelope_sender",
    "esp_extra",
    "merge_data",
    "merge_global_data",
    "merge_headers",
    "merge_metadata",
    "metadata",
    "tags",
    "template_id",
    "track_clicks",
    "track_opens",
)
PAIRS = "(pairs)"  # the only key of a stored dictionary that had other keys than texts; JSON has none


def provider_options(email: EmailMessage) -> dict[str, Any]:
    """Return the options that are given, as JSON; None, which is given, takes back what ANYMAIL_SEND_DEFAULTS says."""
    options = {}
    for name in PROVIDER_OPTIONS:
        if not is_given(email, name):
            continue
        value = getattr(email, name)
        options[name] = as_json(name, list(value) if isinstance(value, Set) else value)
    if is_given(email, "send_at"):
        options["send_at"] = None  # nor is a default of the project's to delay it again
    return options


def as_json(name: str, value: Any) -> Any:
    """Return the value of an email's attribute as it comes out of a database. Raise ValueError if none can keep it."""
    try:
        # No database's JSON has a NaN, and none of them half a pair of surrogates.
        return json.loads(json.dumps(plain(value), allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The email's {name} cannot be kept in the outbox: {error}.") from error


def attribute(email: EmailMessage, name: str) -> Any:
    """Return the value that Anymail reads, or None if it is not given."""
    return getattr(email, name) if is_given(email, name) else None


def is_given(email: EmailMessage, name: str) -> bool:
    return hasattr(email, name) and not is_unset(getattr(email, name))


def has_template(email: EmailMessage) -> bool:
    """Tell whether a provider makes the mail of a template, by the email's own `template_id` or a default for all."""
    if is_given(email, "template_id"):
        return bool(attribute(email, "template_id"))
    anymails = {f"ANYMAIL_{name}": value for name, value in (getattr(settings, "ANYMAIL", None) or {}).items()}
    anymails |= {name: getattr(settings, name) for name in dir(settings) if name.startswith("ANYMAIL_")}
    return any((value or {}).get("template_id") for name, value in anymails.items() if name.endswith("SEND_DEFAULTS"))


def is_unset(value: Any) -> bool:
    """Tell whether it is what Anymail's own message classes have in the place of an option that is not given."""
    anymail = sys.modules.get("anymail.utils")  # whoever has not imported it has none of its values either
    return anymail is not None and value is anymail.UNSET


def plain(value: Any) -> Any:
    """Return an option's value with lazy texts as they read now, and without what is unset."""
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, str) and NUL in value:
        raise ValueError("a text has a NUL character")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, (str, Promise, int, float, NoneType)):
                raise ValueError(f"the key {key!r} is neither a text nor a number")
        pairs = [(plain(key), plain(inner)) for key, inner in value.items() if not is_unset(inner)]
        if all(isinstance(key, str) and key != PAIRS for key, _ in pairs):
            return dict(pairs)
        return {PAIRS: pairs}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value if not is_unset(inner)]
    return value


def restored(value: Any) -> Any:
    """Return the value of which `plain` made this one."""
    if isinstance(value, list):
        return [restored(inner) for inner in value]
    if isinstance(value, dict):
        pairs = value[PAIRS] if [*value] == [PAIRS] else value.items()
        return {key: restored(inner) for key, inner in pairs}
    return value


def send_at(email: EmailMessage) -> datetime | None:
    """Return the time before which nobody is to deliver the email, in every form that Anymail takes.

    What has no time zone is in the current one, a date is its midnight, and a number is seconds since 1970. Raise
    ValueError for anything else.
    """
    given = attribute(email, "send_at")
    if given is None:
        return None
    with suppress(ValueError, TypeError, OverflowError, OSError):
        moment = _moment(given)
        return make_aware(moment, get_current_timezone()) if is_naive(moment) else moment
    raise ValueError(
        f"The email's send_at is {given!r}; it must be a datetime, a date, a number of seconds since 1970, or a text "
        "such as 2026-11-27T09:00:00+01:00."
    )


def _moment(given: Any) -> datetime:
    if isinstance(given, datetime):
        return given
    if isinstance(given, date):
        return datetime(given.year, given.month, given.day)
    if isinstance(given, (str, Promise)):
        with suppress(ValueError):
            return datetime.fromisoformat(str(given).replace("Z", "+00:00"))
        return parsedate_to_datetime(str(given))
    return datetime.fromtimestamp(given, timezone.utc)
