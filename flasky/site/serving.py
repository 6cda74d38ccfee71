"""Refuse to serve with wrong settings, before the first request is answered."""

import sys

from django.core.checks import ERROR, run_checks
from django.utils.translation import gettext as _


def refuse_wrong_settings() -> None:
    """Exit with the failed system checks: servers, unlike commands, do not run them by themselves."""
    found = run_checks(databases=[])  # none is asked: the site starts while its database is away
    errors = [message for message in found if message.is_serious(ERROR) and not message.is_silenced()]
    if errors:
        print(_("Flasky does not start:"), *errors, sep="\n", file=sys.stderr)
        sys.exit(3)  # the code at which gunicorn stops instead of starting its worker again and again
