from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from flasky.mail.models import OutboxMessage

LONGEST = 36_500  # days


class Command(BaseCommand):
    help = "Remove old mail that is finished: first the bodies, later the rows with their history. What waits stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", default=90, metavar="N", help="days after which rows are removed (90)")
        parser.add_argument("--bodies", default=14, metavar="N", help="days after which bodies are removed (14)")
        parser.add_argument("--dry-run", action="store_true", help="count only")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        removed_before = now - timedelta(days=days("--days", options["days"]))
        emptied_before = now - timedelta(days=days("--bodies", options["bodies"]))
        rows = OutboxMessage.objects.finished_before(removed_before)
        bodies = OutboxMessage.objects.finished_before(emptied_before).filter(finished_at__gte=removed_before)
        if options["dry_run"]:
            counts, verb = (rows.count(), bodies.with_body().count()), "would be removed"
        else:
            counts, verb = (rows.prune(), bodies.prune_bodies()), "removed"
        self.stdout.write(f"{counts[0]} messages and the bodies of {counts[1]} others {verb}.")


def days(option: str, value: Any) -> int:
    number = int(value) if str(value).isdecimal() and len(str(value)) < 6 else -1
    if not 0 <= number <= LONGEST:
        raise CommandError(f"{option} is {value!r}; it must be a whole number of days, from 0 to {LONGEST}.")
    return number
