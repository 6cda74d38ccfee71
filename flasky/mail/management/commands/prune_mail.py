"""Prune old messages: read their age and print how many there were."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from flasky.mail.conf import conf
from flasky.mail.models import OutboxMessage

LONGEST = 36_500  # days


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Remove old mail that is finished: first the bodies, later the rows with their history. What waits stays."
        )
        parser.add_argument("--days", metavar="N", help=_("days after which rows are removed (MAIL_KEEP_DAYS)"))
        parser.add_argument("--bodies", metavar="N", help=_("days after which bodies are removed (MAIL_KEEP_BODIES)"))
        parser.add_argument("--dry-run", action="store_true", help=_("count only"))

    def handle(self, *args: Any, **options: Any) -> None:
        age_of_rows = days("--days", options["days"], conf.MAIL_KEEP_DAYS)
        age_of_bodies = days("--bodies", options["bodies"], conf.MAIL_KEEP_BODIES)
        rows, bodies = OutboxMessage.objects.outdated(age_of_rows, age_of_bodies)
        if options["dry_run"]:
            counts = {"count": rows.count(), "bodies": bodies.count()}
            sentence = _("%(count)s messages and the bodies of %(bodies)s others would be removed.")
        else:
            counts = {"count": rows.prune(), "bodies": bodies.prune_bodies()}
            sentence = _("%(count)s messages and the bodies of %(bodies)s others removed.")
        self.stdout.write(sentence % counts)


def days(option: str, value: Any, setting: int) -> int | None:
    """Return the option's number; without one the setting's, whose 0 means that nothing is ever removed."""
    if value is None:
        return setting or None
    number = int(value) if str(value).isdecimal() and len(str(value)) < 6 else -1
    if not 0 <= number <= LONGEST:
        sentence = _("%(option)s is %(value)r; it must be a whole number of days, from 0 to %(most)s.")
        raise CommandError(sentence % {"option": option, "value": value, "most": LONGEST})
    return number
