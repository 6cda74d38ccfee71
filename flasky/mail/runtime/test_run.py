"""Tell whether this process runs a project's tests."""

import sys


def is_test_run() -> bool:
    """Return whether Django's test environment is set up, by its own runner or by pytest-django.

    `mail.outbox` does not say so: the locmem back end makes it as well.
    """
    utilities = sys.modules.get("django.test.utils")  # never imported here: a server has no use for it
    return hasattr(getattr(utilities, "_TestState", None), "saved_data")
