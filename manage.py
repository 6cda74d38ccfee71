#!/usr/bin/env python
"""Run one of the project's commands; `python manage.py help` lists them."""

import io
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flasky.settings")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # where a terminal lacks the language's letters
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed for this Python. Run `make run`, or activate the virtual environment first.")
    from django.db import DataError, IntegrityError
    from django.db import Error as DatabaseFailure

    try:
        execute_from_command_line(sys.argv)
    except DatabaseFailure as error:
        # Those two are about the values in a statement, not about the database.
        if isinstance(error, (DataError, IntegrityError)) or "--traceback" in sys.argv:
            raise
        from django.utils.translation import gettext as _

        from flasky.mail.db.outages import known_fault
        from flasky.mail.status.in_their_words import in_their_words

        if fault := known_fault(error):
            sys.exit(_("The database cannot be used: %(reason)s") % {"reason": in_their_words(fault)})
        reason = " ".join(str(error).split()).rstrip(".")
        sentence = _(
            "The database cannot be used: %(reason)s. Look at DATABASE_URL; a new one needs `manage.py migrate`."
        )
        sys.exit(sentence % {"reason": reason})


if __name__ == "__main__":
    main()
