"""Set the stage: the settings, and a database with what was there before the story."""

import logging
import os
import shutil
import tempfile
import warnings
from datetime import timedelta
from pathlib import Path

import django
from django.apps import apps

MEMORY = Path("/dev/shm")  # what is killed here is a process, and never the machine
OLD, DEAD, DEAD_PROCESS = "<old@example.com>", "<dead@example.com>", "a process that died"


def set_up(is_loud=False):
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    warnings.simplefilter("ignore")
    if not is_loud:
        logging.disable()
    from django.conf import settings

    settings.MAIL_TRANSPORT, settings.MAIL_SERVER, settings.MAIL_TIMEOUT = "smtp", "127.0.0.1", 20  # s
    settings.MAIL_DISPATCHER, settings.MAIL_LEASE = "threads", 600  # s: it is the oracle that lets leases run out
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.FLASKY_ADMIN = ["ann@example.com", "later@example.com"]
    _make_haste()


def _make_haste():
    from flasky.mail.delivery import batches, engine, pruning

    engine.FIRST_WAIT = 0.005  # s
    pruning.BREATH = 0
    batches.CLAIM_SECONDS = 100  # or a new connection would claim one message


class Stage:
    """A database for one run after the other, a copy for each process. With `mail` the story's three are stored."""

    def __init__(self, processes, mail=False):
        from django.db import connection, connections

        self.connection, self.connections, self.has_mail = connection, connections, mail
        self.folder = Path(tempfile.mkdtemp(prefix="steps-", dir=MEMORY if MEMORY.is_dir() else None))
        self.is_file = connection.vendor == "sqlite"
        self.name = str(self.folder / "before.sqlite3") if self.is_file else f"steps_{os.getpid()}"
        self.real_name = connection.settings_dict["NAME"]
        connection.settings_dict["TEST"]["NAME"] = self.name
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
        if self.is_file:
            self._furnish()
        connections.close_all()
        self.clones = [] if self.is_file else [str(number) for number in range(processes)]
        for suffix in self.clones:
            connection.creation.clone_test_db(suffix=suffix, verbosity=0, autoclobber=True)
        connections.close_all()

    def enter(self, number):
        """Use the database with this number in this process."""
        self.number = number
        if not self.is_file:
            name = self.connection.creation.get_test_db_clone_settings(str(number))["NAME"]
            self.connection.settings_dict["NAME"] = name

    def new_run(self):
        """Put everything back as it was before the story."""
        if self.is_file:
            for old in self.folder.glob(f"{self.number}.sqlite3*"):
                old.unlink()
            path = self.folder / f"{self.number}.sqlite3"
            shutil.copy(self.name, path)
            self.connection.settings_dict["NAME"] = str(path)
        else:
            self._empty()
            self._furnish()
            self.connections.close_all()

    def _empty(self):

        tables = [m._meta.db_table for m in apps.get_models() if m._meta.app_label not in ("contenttypes", "auth")]
        with self.connection.cursor() as cursor:
            if self.connection.vendor == "mysql":
                cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
            for table in tables:
                cursor.execute(f"DELETE FROM {self.connection.ops.quote_name(table)}")
            if self.connection.vendor == "mysql":
                cursor.execute("SET FOREIGN_KEY_CHECKS = 1")

    def _furnish(self):
        """Store a mail that is old enough to be pruned, and one that a dead process holds."""
        from django.core.mail import EmailMessage
        from django.utils import timezone

        from flasky.mail.models import OutboxMessage, State

        for message_id in (OLD, DEAD):
            headers = {"Message-ID": message_id}
            EmailMessage("Hi", "Hello", "me@example.com", ["ann@example.com"], headers=headers).send()
        long_ago = timezone.now() - timedelta(days=100)
        old = OutboxMessage.objects.filter(message_id=OLD)
        old.update(state=State.SENT, created_at=long_ago, queued_at=long_ago, finished_at=long_ago)
        [held] = OutboxMessage.objects.claim(1, DEAD_PROCESS)
        OutboxMessage.objects.filter(pk=held.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))

        if self.has_mail:
            for to in (["ann@example.com", "later@example.com"], ["ben@example.com"], ["refused@example.com"]):
                EmailMessage("Hi", "Hello", "me@example.com", to).send()

    def leave(self):
        self.connections.close_all()
        if not self.is_file:
            self.connection.settings_dict["NAME"] = self.name
            for suffix in self.clones:
                self.connection.creation.destroy_test_db(suffix=suffix, verbosity=0, keepdb=False)
            self.connection.creation.destroy_test_db(self.real_name, verbosity=0)
        shutil.rmtree(self.folder)
