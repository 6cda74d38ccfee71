"""Tell the simplest robots from people: they fill in what nobody sees, and send a form that they have hardly loaded."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core import signing

from flasky.mail.runtime import clock

TRAP = "website"  # the name of a field that is hidden
STAMP = "asked"  # the name of the field that says when the form was asked for
SALT = "flasky.form"


def stamp() -> str:
    """Return the present time, signed."""
    return signing.dumps(clock.now().timestamp(), salt=SALT)


def looks_like_a_robots(sent: Mapping[str, Any]) -> bool:
    return bool(sent.get(TRAP)) or was_quick(sent.get(STAMP, ""))


def was_quick(stamped: str) -> bool:
    """Say whether the form was sent sooner than a person could, or was never asked for; however late is good."""
    if not settings.FORM_MIN_SECONDS:
        return False
    try:
        passed = clock.now().timestamp() - signing.loads(stamped, salt=SALT)
        return 0 <= passed < settings.FORM_MIN_SECONDS  # a clock may have been set back meanwhile
    except signing.BadSignature:
        return True
