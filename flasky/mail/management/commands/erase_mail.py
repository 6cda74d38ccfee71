"""Erase what the outbox keeps of a person: read who it is, and print what was erased and what was not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from flasky.mail.management.person import add_person, person_of
from flasky.mail.privacy.erasure import Erased, erase


class Command(BaseCommand):
    help = (
        "Erase what the outbox keeps of a person: the mails to and about them, and their address in the mails of "
        "others. It cannot be undone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_person(parser)
        parser.add_argument("--dry-run", action="store_true", help="say what would be erased, and erase nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        erased = erase(person_of(options), dry_run=options["dry_run"])
        self.stdout.write("\n".join(sentences(erased, options["dry_run"])))
        if erased.left and not options["dry_run"]:
            numbers = ", ".join(map(str, sorted(erased.left)[:20]))
            raise CommandError(
                "Not everything is erased. Messages for others, not sent yet, still name the person: "
                f"{len(erased.left)} (number {numbers}). Run the command again when none is left, or cancel them in "
                "the admin first."
            )


def sentences(erased: Erased, is_dry: bool) -> list[str]:
    to_be = "to be " if is_dry else ""
    facts = (
        (f"Messages {to_be}removed, with all that is known of them", erased.removed),
        ("  of these not sent yet, and never to be", erased.unsent),
        ("  of these being sent at this moment; they may still arrive", erased.on_the_wire),
        (f"Messages of others, the person {to_be}taken out", erased.cleaned),
        (f"  of these {to_be}emptied, because the text names the person", erased.emptied),
        (f"Notes of who did something, the name {to_be}taken out", erased.unnamed),
        ("Messages for others, not sent yet, that would still name the person", len(erased.left) if is_dry else 0),
    )
    lines = [f"{fact}: {count}" for fact, count in facts if count] or ["Nothing is kept of this person."]
    return [*lines, "Not touched: the log, copies of the database, what has arrived, what providers keep."]
