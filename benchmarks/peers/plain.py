"""Django alone: EmailMessage.send() in a loop, which connects for each mail and stores nothing."""

from benchmarks import mails

emails = []


def store(count):
    emails.extend(mails.composed(mails.rendered()) for _ in range(count))


def drain():
    for email in emails:
        email.send()


def clear():
    emails.clear()


def settle():
    pass
