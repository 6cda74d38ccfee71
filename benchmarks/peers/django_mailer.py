"""django-mailer: one process, one connection; its locks allow no second one."""

import mailer
from django.conf import settings
from mailer.engine import send_all
from mailer.models import Message, MessageLog

from benchmarks import mails, tables


def store(count):
    mail = mails.rendered()
    for _ in range(count):
        mailer.send_html_mail(
            mail["subject"],
            mail["text"],
            mail["html"],
            settings.DEFAULT_FROM_EMAIL,
            [mails.TO],
            headers={"Auto-Submitted": "auto-generated"},
        )


def drain():
    send_all()


def clear():
    tables.empty(Message, MessageLog)


def settle():
    tables.settle()
