"""Ways through the outbox, each with what arrives at its end."""

from contextlib import contextmanager
from email import message_from_bytes
from email import policy as policies
from email.message import Message

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from flasky.mail import transports
from flasky.mail.compat import HAS_MODERN_PARTS
from flasky.mail.models import OutboxMessage
from tests.smtp_server import SmtpServer

BETWEEN_MAILS = b"\n" + b"-" * 79 + b"\n"  # in a file
LINE_END = b"\r\n"

built_by_django = EmailMessage.message


class Stored:
    """The stored bytes; a subclass says what else a mail is when it has arrived."""

    transport = "dummy"
    has_outbox = False  # Django's list of that name

    @contextmanager
    def in_use(self):
        settings.MAIL_TRANSPORT = self.transport
        try:
            yield
        finally:
            transports.close_kept()

    def clear(self):
        OutboxMessage.objects.all().delete()

    def arrived(self, **options):
        """Return each mail as Django's message() returns it, with its options."""
        return [as_message(content, **options) for content in self.contents()]

    def contents(self):
        return map(bytes, OutboxMessage.objects.order_by("pk").values_list("content", flat=True))


class Locmem(Stored):
    transport = "locmem"
    has_outbox = True

    def clear(self):
        mail.outbox = []

    def arrived(self, **options):
        return [email.message(**options) for email in mail.outbox]


class File(Stored):
    transport = "file"

    def clear(self):
        transports.close_kept()
        for path in settings.MAIL_FILE_PATH.iterdir():
            path.unlink()

    def contents(self):
        [path, *_] = [*settings.MAIL_FILE_PATH.iterdir()] or [None]  # of one connection
        return [content for content in path.read_bytes().split(BETWEEN_MAILS) if content] if path else []


class Smtp(Stored):
    transport = "smtp"

    @contextmanager
    def in_use(self):
        with SmtpServer() as self.server:
            settings.MAIL_SERVER, settings.MAIL_PORT = "127.0.0.1", self.server.port
            with super().in_use():
                yield

    def clear(self):
        super().clear()
        self.server.mails.clear()

    def contents(self):
        """SMTP ends each mail with the end of a line, also one that did not."""
        for taken, stored in zip(self.server.mails, super().contents(), strict=True):
            yield taken.content if stored.endswith(LINE_END) else taken.content.removesuffix(LINE_END)


class ForAnApi(Stored):
    """What can be built from the email's attributes: the back end of a provider looks at nothing else."""

    transport = f"{__name__}.Keeping"

    def clear(self):
        Keeping.emails.clear()

    def arrived(self, **options):
        return [built_by_django(email, **options) for email in Keeping.emails]


class Keeping(BaseEmailBackend):
    emails = []

    def send_messages(self, emails):
        self.emails += emails
        return len(emails)


FLAVOURS = {"stored": Stored(), "locmem": Locmem(), "file": File(), "smtp": Smtp(), "api": ForAnApi()}


class OldMessage(Message):
    """What message() returns until Django 5.2, parsed."""

    def as_string(self, **options):
        return self.as_bytes(**options).decode()


def as_message(content, policy=policies.default):
    content = content.replace(LINE_END, b"\n")
    return message_from_bytes(content, policy=policy) if HAS_MODERN_PARTS else message_from_bytes(content, OldMessage)
