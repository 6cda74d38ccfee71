"""Run the development server, and stop it in order: the mail that is on the wire is finished first.

Django's autoreloader kills its child 0.25 s after Ctrl-C and at once on SIGTERM, because `subprocess.run` does.
"""

import os
import signal
import subprocess
import sys
from typing import Any

from django.utils import autoreload
from whitenoise.runserver_nostatic.management.commands.runserver import Command as RunserverCommand

RELOAD = 3  # the exit status by which the child asks to be started again


class Command(RunserverCommand):
    def run(self, **options: Any) -> None:
        if options["use_reloader"]:
            autoreload.restart_with_reloader = restart_and_wait
        else:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        super().run(**options)


def restart_and_wait() -> int:
    """Run the server in a child, anew whenever the code changes; pass signals on and wait for its end."""
    environment = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    while True:
        child = subprocess.Popen(autoreload.get_child_arguments(), env=environment, close_fds=False)  # noqa: S603
        signal.signal(signal.SIGTERM, lambda *_, child=child: child.terminate())
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to the child as well
        status = child.wait()
        if status != RELOAD:
            return status
