"""Send a test mail and say, in plain words, what the relay did with it. Replaces Django's command of this name."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template import TemplateDoesNotExist

from flasky.mail import OutboxFull, render_email
from flasky.mail.backend import OutboxEmailBackend
from flasky.mail.compat import addresses_of, aliases, asked_for, backend_of_alias
from flasky.mail.conf import conf
from flasky.mail.models import OutboxMessage, Source, State
from flasky.mail.previews.kinds import sample_context
from flasky.mail.storing.origin import coming_from, operator
from flasky.mail.transports import (
    Server,
    SmtpTransport,
    Transport,
    TransportUnavailable,
    borrow,
    close_kept,
    new_transport,
)
from flasky.mail.transports.diagnosis import advise
from flasky.mail.transports.replies import Reply, Verdict
from flasky.mail.wire.compose import compose, envelope_address

QUEUE_TIMEOUT = 30  # s; two sweeps
# By SMTP the second follows on the same connection: some servers take one mail and then refuse or drop the next.
SUBJECTS = ("Test mail", "Test mail, the second on the same connection")


class Command(BaseCommand):
    help = "Send a test mail through the configured transport, now, and show what the server says."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", nargs="*", help="where to send it")
        parser.add_argument("--managers", action="store_true", help="send it to MANAGERS as well")
        parser.add_argument("--admins", action="store_true", help="send it to ADMINS as well (FLASKY_ADMIN)")
        parser.add_argument(
            "--template", default="mail/flasky_mail/test", help="another mail, for example mail/new_user"
        )
        parser.add_argument("--using", default=None, help="another alias in MAILERS than the one behind the outbox")
        parser.add_argument("--queue", action="store_true", help="go through the outbox and wait for the outcome")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            context = {**sample_context(options["template"]), "host": socket.gethostname()}
            emails = [
                render_email(self.recipients(options), subject, options["template"], **context) for subject in SUBJECTS
            ]
            using = self.other_alias(options["using"])
            if not options["queue"]:
                with asked_for(using):
                    self.send_now([OutboxMessage(**compose(email)) for email in emails], using)
            elif using:
                raise CommandError(f'--queue goes through the outbox, and MAILERS["{using}"] past it.')
            else:
                self.send_through_the_outbox(emails[0])
        except TemplateDoesNotExist as error:
            raise CommandError(
                f"There is no template {error}. --template takes a name such as mail/new_user."
            ) from None
        except (ValueError, OutboxFull) as error:
            raise CommandError(str(error)) from None

    def recipients(self, options: dict[str, Any]) -> list[str]:
        recipients = list(options["email"])
        if options["managers"]:
            recipients += addresses_of(settings.MANAGERS)
        if options["admins"]:
            recipients += addresses_of(settings.ADMINS)
        if not recipients:
            raise CommandError(
                "You must specify some email recipients, or pass the --managers or --admins options after setting "
                f"{'FLASKY_ADMIN' if hasattr(settings, 'FLASKY_ADMIN') else 'ADMINS or MANAGERS'}."
            )
        for address in recipients:
            envelope_address(address)
        return list(dict.fromkeys(recipients))

    def other_alias(self, using: str | None) -> str:
        """Return the alias if it goes past the outbox; what leads to the outbox is tried with what is behind it."""
        if not using:
            return ""
        if using not in aliases():
            there_are = f"MAILERS has {', '.join(aliases())}" if aliases() else "there is no MAILERS before Django 6.1"
            raise CommandError(f"There is no mailer {using!r} for --using: {there_are}.")
        return "" if isinstance(backend_of_alias(using), OutboxEmailBackend) else using

    def send_now(self, messages: list[OutboxMessage], using: str) -> None:
        server = new_transport(using).server
        is_unnamed = using and server.name == conf.MAIL_TRANSPORT  # a back end without a server that it could name
        self.show_server(replace(server, name=f'MAILERS["{using}"]') if is_unnamed else server)
        started = time.monotonic()
        try:
            with opened(using) as transport:
                each = messages if isinstance(transport, SmtpTransport) else messages[:1]
                for label, replies in zip(("To", "Again"), transport.deliver_each(each), strict=False):
                    self.show_replies(label, replies)
                    if not all(map(accepted, replies.values())):
                        break
        except TransportUnavailable as error:
            raise CommandError(str(error)) from None
        finally:
            close_kept()
        self.stdout.write(f"Time      {time.monotonic() - started:.2f} s")
        self.fail_for_refusals(replies)

    def show_server(self, server: Server) -> None:
        self.stdout.write(f"Server    {server.name}")
        self.stdout.write(f"Security  {server.security}")
        self.stdout.write(f"Login     {'yes' if server.logged_in else 'no'}")

    def show_replies(self, label: str, replies: dict[str, Reply]) -> None:
        for address, reply in replies.items():
            self.stdout.write(f"{label:<10}{address}: {reply.verdict.value}: {reply.text}")

    def fail_for_refusals(self, replies: dict[str, Reply]) -> None:
        refused = [f"{address} ({reply.text})" for address, reply in replies.items() if not accepted(reply)]
        if refused:
            reason = next(reply for reply in replies.values() if not accepted(reply))
            hint = advise(reason) if reason.command else ""
            raise CommandError(f"Not accepted for {', '.join(refused)}. {hint}".strip())

    def send_through_the_outbox(self, email: EmailMultiAlternatives) -> None:
        started = time.monotonic()
        with coming_from(Source.COMMAND.value, operator()):
            email.send()
        message: OutboxMessage = email.outbox_message  # type: ignore[attr-defined]
        self.stdout.write(f"Stored as message {message.pk}, waiting for whoever delivers …")
        state = message.wait(QUEUE_TIMEOUT)
        if state == State.SENT:
            self.stdout.write(f"Sent      {message.last_reply}")
            self.stdout.write(f"Time      {time.monotonic() - started:.2f} s")
        elif state in State.waiting() and not message.last_reply:
            raise CommandError(
                f"Message {message.pk} is still {state} after {QUEUE_TIMEOUT} s. Is a server or a worker running? "
                "A server begins with its first request. `manage.py deliver_mail` delivers it now; without --queue you "
                "see what the relay says."
            )
        else:
            raise CommandError(
                f"Message {message.pk} is {state}: {message.last_reply}\n"
                "The admin's outbox shows its history; without --queue you see which setting to look at."
            )


@contextmanager
def opened(using: str) -> Iterator[Transport]:
    if not using:
        with borrow(limited=False) as transport:
            yield transport
        return
    transport = new_transport(using)
    try:
        transport.open()
        yield transport
    finally:
        transport.close()


def accepted(reply: Reply) -> bool:
    return reply.verdict == Verdict.ACCEPTED
