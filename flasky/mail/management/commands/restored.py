"""Look through an outbox that was put back from a copy: read of when it is, count, mark or hold, say what was done."""

import sys
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Max
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from flasky.mail.db.numbers import begin_at
from flasky.mail.models import OutboxMessage, Process, RelayOutage, State
from flasky.mail.runtime import clock
from flasky.mail.status.written import listed, moment

LOST_NUMBERS = 100_000  # which messages may have had that were stored after the copy


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "After the database was put back from a copy, or a standby took its place: mark or hold the mails that may "
            "have left since. Without --mark and --hold it only counts. Stop whoever delivers before; safe to repeat."
        )
        when = _("of when the copy is, such as 2026-11-28T03:00+00:00")
        younger = _("messages of later were stored since the copy was put back")
        parser.add_argument("--at", required=True, metavar="TIME", help=when)
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--mark", action="store_true", help=_("let what waits leave, as possible duplicates"))
        what.add_argument("--hold", action="store_true", help=_("keep back what waits until a person decides"))
        parser.add_argument("--leave-younger", action="store_true", help=younger)
        parser.add_argument("--no-input", action="store_true", help=_("do not ask before"))

    def handle(self, *args: Any, **options: Any) -> None:
        clock.measure()
        at = time_of(options["at"])
        messages = OutboxMessage.objects.not_sent_at(at)
        younger = self.count(at)
        if not (options["mark"] or options["hold"]):
            self.stdout.write(
                _("Nothing is changed. --mark lets what waits leave, --hold keeps it back; both mark it.")
            )
            return
        refuse_while_somebody_delivers()
        if younger and not options["leave_younger"]:
            sentence = _(
                "%(count)s messages are younger than that; nothing is changed. If they were in the copy, it is younger "
                "than you think: write a later --at. If they were stored since it was put back, add --leave-younger."
            )
            raise CommandError(sentence % {"count": younger})
        if not options["no_input"] and sys.stdin.isatty() and input(_("Go on? [y/N] ")).strip().lower() != "y":
            raise CommandError(_("Nothing is changed."))
        by = f"manage.py restored --at {at.isoformat(timespec='seconds')}"
        held = messages.hold_restored(by) if options["hold"] else 0
        marked = held + messages.mark_as_restored(by)
        forget_the_processes_of_before()
        skip_the_numbers_that_are_lost(at)
        counts = {"marked": marked, "held": held}
        self.stdout.write(_("%(marked)s messages marked as possible duplicates, of them %(held)s held now.") % counts)

    def count(self, at: datetime) -> int:
        """Say what this is about; return how many messages are younger."""
        messages = OutboxMessage.objects.not_sent_at(at)
        waiting, other = messages.filter(state__in=State.waiting()), messages.exclude(state__in=State.waiting())
        later = OutboxMessage.objects.filter(created_at__gt=at)
        younger = later.count()
        values = {"moment": moment(at), "waiting": waiting.count(), "other": other.count(), "later": younger}
        self.stdout.write(
            _(
                "Until %(moment)s: %(waiting)s messages that wait and may have left since, %(other)s that are held, "
                "failed, cancelled or were sent since. Later: %(later)s messages."
            )
            % values
        )
        return younger


def time_of(text: str) -> datetime:
    """Return the time that the text says, in the current time zone if it names none. Raise CommandError."""
    try:
        at = parse_datetime(text) if ":" in text else None  # a day alone would mean its first moment: too early
    except ValueError:
        at = None
    if at is None:
        sentence = _("--at is %(text)r; write a day and a time of it, such as 2026-11-28T03:00+00:00.")
        raise CommandError(sentence % {"text": text})
    at = at if at.tzinfo else timezone.make_aware(at)
    if at > clock.now() + timedelta(seconds=clock.TOO_FAR):  # as of a host whose clock is a little ahead
        sentence = _("--at is %(text)r, which is still to come: now it is %(now)s. Write of when the copy is.")
        raise CommandError(sentence % {"text": text, "now": moment(clock.now())})
    return at if at.microsecond else at + timedelta(seconds=1)  # to the end of that second


def refuse_while_somebody_delivers() -> None:
    """What is on its way while it is marked would lose the mark."""
    if alive := list(Process.objects.alive().values_list("name", flat=True)):
        sentence = _(
            "Stop first whoever delivers: %(processes)s. If they have been stopped, wait a minute; nothing is changed."
        )
        raise CommandError(sentence % {"processes": listed(alive)})


def forget_the_processes_of_before() -> None:
    Process.objects.all().delete()
    RelayOutage.objects.all().delete()  # whoever delivers finds out anew


def skip_the_numbers_that_are_lost(at: datetime) -> None:
    newest = OutboxMessage.objects.filter(created_at__lte=at).aggregate(number=Max("pk"))["number"] or 0
    begin_at(newest + LOST_NUMBERS)
