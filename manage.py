#!/usr/bin/env python
"""Run one of the project's commands; `python manage.py help` lists them."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flasky.settings")
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
        from flasky.mail.db.outages import known_fault

        if fault := known_fault(error):
            sys.exit(f"The database cannot be used: {fault}")
        reason = " ".join(str(error).split()).rstrip(".")
        sys.exit(f"The database cannot be used: {reason}. Look at DATABASE_URL; a new one needs `manage.py migrate`.")


if __name__ == "__main__":
    main()
