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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from flasky.mail import OutboxFull, render_email
from flasky.mail.backend import OutboxEmailBackend
from flasky.mail.compat import addresses_of, aliases, asked_for, backend_of_alias
from flasky.mail.conf import conf
from flasky.mail.models import OutboxMessage, Source, State
from flasky.mail.previews.kinds import sample_context
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.status.written import in_columns, joined, listed
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

COLUMN = 10  # characters
QUEUE_TIMEOUT = 30  # s; two sweeps
# By SMTP the second follows on the same connection: some servers take one mail and then refuse or drop the next.
SUBJECTS = (gettext_lazy("Test mail"), gettext_lazy("Test mail, the second on the same connection"))

VERDICTS = {
    Verdict.ACCEPTED: gettext_lazy("accepted"),
    Verdict.POSTPONED: gettext_lazy("refused for now"),
    Verdict.REFUSED: gettext_lazy("refused"),
    Verdict.UNKNOWN: gettext_lazy("unknown"),
    Verdict.UNAVAILABLE: gettext_lazy("relay not available"),
}


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _("Send a test mail through the configured transport, now, and show what the server says.")
        another = _("another mail, for example mail/new_user")
        parser.add_argument("email", nargs="*", help=_("where to send it"))
        parser.add_argument("--managers", action="store_true", help=_("send it to MANAGERS as well"))
        parser.add_argument("--admins", action="store_true", help=_("send it to ADMINS as well (FLASKY_ADMIN)"))
        parser.add_argument("--template", default="mail/flasky_mail/test", help=another)
        parser.add_argument("--using", default=None, help=_("another alias in MAILERS than the one behind the outbox"))
        parser.add_argument("--queue", action="store_true", help=_("go through the outbox and wait for the outcome"))

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
                sentence = _("--queue goes through the outbox, and %(alias)s past it.")
                raise CommandError(sentence % {"alias": f'MAILERS["{using}"]'})
            else:
                self.send_through_the_outbox(emails[0])
        except TemplateDoesNotExist as error:
            sentence = _("There is no template %(template)s. --template takes a name such as mail/new_user.")
            raise CommandError(sentence % {"template": error}) from None
        except OutboxFull as error:
            sentence = _(
                "As many mails are held beyond the mail budget as MAIL_BUDGET_HELD allows (%(count)s), so this one was "
                "not taken. Release or cancel what is held, or try again in %(seconds)s s."
            )
            raise CommandError(sentence % {"count": conf.MAIL_BUDGET_HELD, "seconds": error.seconds}) from None
        except ValueError as error:
            raise CommandError(in_their_words(str(error))) from None

    def recipients(self, options: dict[str, Any]) -> list[str]:
        recipients = list(options["email"])
        if options["managers"]:
            recipients += addresses_of(settings.MANAGERS)
        if options["admins"]:
            recipients += addresses_of(settings.ADMINS)
        if not recipients:
            sentence = _(
                "You must specify some email recipients, or pass the --managers or --admins options after setting "
                "%(setting)s."
            )
            ours = hasattr(settings, "FLASKY_ADMIN")
            raise CommandError(sentence % {"setting": "FLASKY_ADMIN" if ours else _("ADMINS or MANAGERS")})
        for address in recipients:
            envelope_address(address)
        return list(dict.fromkeys(recipients))

    def other_alias(self, using: str | None) -> str:
        """Return the alias if it goes past the outbox; what leads to the outbox is tried with what is behind it."""
        if not using:
            return ""
        if using not in aliases():
            sentence = _("There is no mailer %(alias)r for --using: there is no MAILERS before Django 6.1.")
            if aliases():
                sentence = _("There is no mailer %(alias)r for --using: MAILERS has %(aliases)s.")
            raise CommandError(sentence % {"alias": using, "aliases": listed(aliases())})
        return "" if isinstance(backend_of_alias(using), OutboxEmailBackend) else using

    def send_now(self, messages: list[OutboxMessage], using: str) -> None:
        server = new_transport(using).server
        is_unnamed = using and server.name == conf.MAIL_TRANSPORT  # a back end without a server that it could name
        self.show_server(replace(server, name=f'MAILERS["{using}"]') if is_unnamed else server)
        started = time.monotonic()
        try:
            with opened(using) as transport:
                each = messages if isinstance(transport, SmtpTransport) else messages[:1]
                for label, replies in zip((_("To"), _("Again")), transport.deliver_each(each), strict=False):
                    self.show_replies(label, replies)
                    if not all(map(accepted, replies.values())):
                        break
        except TransportUnavailable as error:
            raise CommandError(in_their_words(str(error))) from None
        finally:
            close_kept()
        self.show_time(started)
        self.fail_for_refusals(replies)

    def show_server(self, server: Server) -> None:
        self.show(_("Server"), server.name)
        self.show(_("Security"), server.security if server.security != "none" else pgettext("security", "none"))
        self.show(_("Login"), _("yes") if server.logged_in else _("no"))

    def show(self, label: str, value: str) -> None:
        self.stdout.write(f"{in_columns(label, COLUMN)}{value}")

    def show_time(self, started: float) -> None:
        self.show(_("Time"), _("%(seconds)s s") % {"seconds": f"{time.monotonic() - started:.2f}"})

    def show_replies(self, label: str, replies: dict[str, Reply]) -> None:
        for address, reply in replies.items():
            self.show(label, f"{address}: {VERDICTS[reply.verdict]}: {in_their_words(reply.text)}")

    def fail_for_refusals(self, replies: dict[str, Reply]) -> None:
        refused = [
            f"{address} ({in_their_words(reply.text).rstrip('.。')})"
            for address, reply in replies.items()
            if not accepted(reply)
        ]
        if refused:
            reason = next(reply for reply in replies.values() if not accepted(reply))
            hint = in_their_words(advise(reason)) if reason.command else ""
            sentence = _("Not accepted for %(recipients)s.") % {"recipients": listed(refused)}
            raise CommandError(joined(sentence, hint))

    def send_through_the_outbox(self, email: EmailMultiAlternatives) -> None:
        started = time.monotonic()
        with coming_from(Source.COMMAND.value, operator()):
            email.send()
        message: OutboxMessage = email.outbox_message  # type: ignore[attr-defined]
        self.stdout.write(_("Stored as message %(number)s, waiting for whoever delivers …") % {"number": message.pk})
        state = message.wait(QUEUE_TIMEOUT)
        if state == State.SENT:
            self.show(_("Sent"), in_their_words(message.last_reply))
            self.show_time(started)
        elif state in State.waiting() and not message.last_reply:
            sentence = _(
                "Message %(number)s is still %(state)s after %(seconds)s s. Is a server or a worker running? A server "
                "begins with its first request. `manage.py deliver_mail` delivers it now; without --queue you see what "
                "the relay says."
            )
            raise CommandError(
                sentence % {"number": message.pk, "state": State(state).label.lower(), "seconds": QUEUE_TIMEOUT}
            )
        else:
            sentence = _(
                "Message %(number)s is %(state)s: %(reply)s\nThe admin's outbox shows its history; without --queue you "
                "see which setting to look at."
            )
            reply = in_their_words(message.last_reply)
            raise CommandError(sentence % {"number": message.pk, "state": State(state).label.lower(), "reply": reply})


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
