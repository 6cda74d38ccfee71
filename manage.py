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
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
