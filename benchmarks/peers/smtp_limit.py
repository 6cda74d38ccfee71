"""The limit: smtplib with the bytes ready and the connection kept; nothing is stored, read or recorded."""

import os
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor

from django.conf import settings

from benchmarks import mails

CONNECTIONS = int(os.environ.get("CONNECTIONS", "1"))
waiting = 0
content = b""


def store(count):
    global waiting, content
    waiting += count
    email = mails.composed(mails.rendered())
    content = email.message().as_bytes().replace(b"\n", b"\r\n")


def drain():
    shares = [waiting // CONNECTIONS + (number < waiting % CONNECTIONS) for number in range(CONNECTIONS)]
    if CONNECTIONS == 1:
        send(waiting)
    else:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(send, shares))


def send(count):
    with smtplib.SMTP(settings.MAIL_SERVER, settings.MAIL_PORT) as smtp:
        if settings.MAIL_USE_TLS:
            smtp.starttls(context=ssl.create_default_context())
            smtp.login(settings.MAIL_USERNAME, settings.MAIL_PASSWORD)
        for _ in range(count):
            smtp.sendmail("flasky@example.com", [mails.TO], content)


def clear():
    global waiting
    waiting = 0


def settle():
    pass
