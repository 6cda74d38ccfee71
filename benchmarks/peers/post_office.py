"""django-post_office: the way of its command send_queued_mail, one process with MAIL_WORKERS threads."""

import os
import tempfile
from pathlib import Path

from django.conf import settings
from post_office import mail
from post_office.models import Email

from benchmarks import mails, tables


def store(count):
    rendered = mails.rendered()
    for _ in range(count):
        mail.send(
            [mails.TO],
            settings.DEFAULT_FROM_EMAIL,
            subject=rendered["subject"],
            message=rendered["text"],
            html_message=rendered["html"],
            headers={"Auto-Submitted": "auto-generated"},
        )


def fill(waiting):
    """Make rows that wait, as copies of a real one."""
    store(1)
    tables.copy_row(Email.objects.latest("pk"), waiting - 1, apart=0.001)


def drain():
    lock = Path(tempfile.gettempdir()) / f"post_office-{os.getpid()}"
    mail.send_queued_mail_until_done(lockfile=str(lock), processes=1)


def clear():
    tables.empty(Email)


def settle():
    tables.settle()
