"""Make a database of the drill's own, on the server that the project uses."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.db import Error, OperationalError, connections
from django.utils.translation import gettext as _

from flasky.mail.db.connections import alias

STOPPING = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
PATIENCE = 10  # s until the server has noticed that the killed workers are gone


class NoScratchDatabase(Exception):
    """The server does not let us make one; the message is a sentence for the user."""


@contextmanager
def scratch_database() -> Iterator[str]:
    """Make a database as Django's test runner does, point the outbox's connection to it, and remove it afterwards."""
    connection = outbox_connection()
    real_name = connection.settings_dict["NAME"]
    with tempfile.TemporaryDirectory(prefix="flasky-drill-") as folder:
        name = _name(folder, str(real_name))
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # half a database could not be removed
        try:
            _create(name)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            yield name
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
            if connection.settings_dict["NAME"] == name:  # else there is none, and this is the real one
                _destroy(real_name)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def outbox_connection() -> Any:
    """Return the connection that the outbox writes with: a router may have put it into another database."""
    return connections[alias()]


def _name(folder: str, real_name: str) -> str:
    if outbox_connection().vendor == "sqlite":
        return str(Path(folder) / "drill.sqlite3")  # in memory, other processes would not see it
    return f"test_{real_name[:40]}_drill_{os.getpid()}"


def _create(name: str) -> None:
    connection = outbox_connection()
    connection.settings_dict["TEST"]["NAME"] = name
    reasons: list[str] = []
    connection.creation.log = reasons.append
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
    except (SystemExit, Error) as error:  # the test runner would exit
        reason = " ".join((reasons or [str(error)])[0].split()).split("test database: ")[-1].rstrip(".?")
        sentence = _("The drill needs a database of its own, but none could be made: %(reason)s.")
        raise NoScratchDatabase(sentence % {"reason": reason}) from None


def _destroy(real_name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with suppress(FileNotFoundError):  # SQLite did not get so far
                outbox_connection().creation.destroy_test_db(real_name, verbosity=0)
            return
        except OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)
