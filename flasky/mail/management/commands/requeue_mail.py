"""Requeue messages that are chosen by number, state, recipient or age."""

import re
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail import dispatchers
from flasky.mail.conf import conf
from flasky.mail.models import OutboxMessage, State
from flasky.mail.runtime import clock
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.storing.origin import operator
from flasky.mail.wire.compose import envelope_address

BATCH = 500  # messages that one statement names
LONGEST_NUMBER = 18  # digits; no database counts further than 19
AGE_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
LEFT_OUT: dict[str, Any] = {
    State.QUEUED: gettext_lazy("queued already"),
    State.SENDING: gettext_lazy("being delivered"),
    State.SENT: gettext_lazy("sent already"),
    State.FAILED: gettext_lazy("failed"),
    State.HELD: gettext_lazy("held"),
    State.CANCELLED: gettext_lazy("cancelled"),
    State.GATHERED: gettext_lazy("in a digest"),
}


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Queue messages again: without arguments all that failed. Options narrow it down. Recipients who have the "
            "mail do not get it again."
        )
        states = [state.value for state in State.for_requeue()]
        which = _("the number of a message that failed, is held or cancelled")
        since = _("messages stored since then, for example 90m, 12h, 3d")
        parser.add_argument("id", nargs="*", type=number, help=which)
        parser.add_argument("--state", action="append", choices=states, help=_("may be given several times"))
        parser.add_argument("--to", metavar="ADDRESS", help=_("messages with this recipient"))
        parser.add_argument("--newer-than", metavar="AGE", help=since)
        parser.add_argument("--older-than", metavar="AGE", help=_("messages stored before that"))
        parser.add_argument("--dry-run", action="store_true", help=_("count only"))

    def handle(self, *args: Any, **options: Any) -> None:
        states = options["state"] or (State.for_requeue() if options["id"] else [State.FAILED])
        chosen, left_out = choose(states, options)
        if options["dry_run"]:
            self.stdout.write(_("%(count)s would be queued again.") % {"count": len(chosen)})
        else:
            by = f"{operator()} (manage.py requeue_mail)".lstrip()
            queued = sum(
                OutboxMessage.objects.filter(pk__in=chosen[start : start + BATCH]).requeue(by)
                for start in range(0, len(chosen), BATCH)
            )
            transaction.on_commit(dispatchers.wake, robust=True)
            left_out[_("changed meanwhile")] = len(chosen) - queued
            self.stdout.write(_("%(count)s queued again.") % {"count": queued})
        for reason, count in (+left_out).items():
            self.stdout.write(_("%(count)s left out: %(reason)s.") % {"count": count, "reason": reason})
        if chosen and not options["dry_run"]:
            self.stdout.write(
                _(
                    "A running worker, or server with MAIL_DISPATCHER=threads, takes them up within %(seconds)s s; "
                    "manage.py deliver_mail delivers them now."
                )
                % {"seconds": conf.MAIL_SWEEP_INTERVAL}
            )


def number(text: str) -> int:
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        raise ArgumentTypeError(_("%(text)r is no number of a message") % {"text": text[:40]})
    return int(text)


def choose(states: Collection[str], options: dict[str, Any]) -> tuple[list[int], Counter[str]]:
    """Return the numbers of the messages to queue, and why how many others are left out."""
    ids = set(options["id"])
    messages = OutboxMessage.objects.filter(pk__in=ids) if ids else OutboxMessage.objects.filter(state__in=states)
    if options["newer_than"]:
        messages = messages.filter(created_at__gte=moment(options["newer_than"]))
    if options["older_than"]:
        messages = messages.filter(created_at__lt=moment(options["older_than"]))
    if options["to"]:
        messages = messages.to(address(options["to"]))
    chosen, left_out = [], Counter[str]()
    rows = messages.order_by("pk").annotate(empty=Q(content=b"")).values_list("pk", "state", "empty")
    for pk, state, empty in rows.iterator():
        ids.discard(pk)
        if state not in states:
            left_out[str(LEFT_OUT.get(state, state))] += 1
        elif empty:
            left_out[_("the body was pruned")] += 1
        else:
            chosen.append(pk)
    left_out[_("not found, or ruled out by another option")] = len(ids)
    return chosen, left_out


def address(typed: str) -> str:
    try:
        return envelope_address(typed).lower()
    except ValueError as error:
        raise CommandError(in_their_words(str(error))) from None


def moment(age: str) -> datetime:
    """Return the time that is `age` ago."""
    written = re.fullmatch(r"(\d{1,5})([mhd])", age)
    if not written:
        raise CommandError(_("%(age)r is no age: write 90m, 12h or 3d for minutes, hours or days.") % {"age": age})
    return clock.now() - timedelta(**{AGE_UNITS[written[2]]: int(written[1])})
