"""Erase what the outbox keeps of a person: read who it is, and print what was erased and what was not."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from flasky.mail.management.person import add_person, person_of
from flasky.mail.privacy.erasure import Erased, erase
from flasky.mail.status.written import listed


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Erase what the outbox keeps of a person: the mails to and about them, and their address in the mails of "
            "others. It cannot be undone."
        )
        add_person(parser)
        parser.add_argument("--dry-run", action="store_true", help=_("say what would be erased, and erase nothing"))

    def handle(self, *args: Any, **options: Any) -> None:
        erased = erase(person_of(options), dry_run=options["dry_run"])
        self.stdout.write("\n".join(sentences(erased, options["dry_run"])))
        if erased.left and not options["dry_run"]:
            numbers = listed(map(str, sorted(erased.left)[:20]))
            sentence = _(
                "Not everything is erased. Messages for others, not sent yet, still name the person: %(count)s (number "
                "%(numbers)s). Run the command again when none is left, or cancel them in the admin first."
            )
            raise CommandError(sentence % {"count": len(erased.left), "numbers": numbers})


def sentences(erased: Erased, is_dry: bool) -> list[str]:
    facts = [(_("  of these not sent yet, and never to be: %(count)s"), erased.unsent)]
    facts += [(_("  of these being sent at this moment; they may still arrive: %(count)s"), erased.on_the_wire)]
    if is_dry:
        facts = [
            (_("Messages to be removed, with all that is known of them: %(count)s"), erased.removed),
            *facts,
            (_("Messages of others, the person to be taken out: %(count)s"), erased.cleaned),
            (_("  of these to be emptied, because the text names the person: %(count)s"), erased.emptied),
            (_("Notes of who did something, the name to be taken out: %(count)s"), erased.unnamed),
            (_("Messages for others, not sent yet, that would still name the person: %(count)s"), len(erased.left)),
        ]
    else:
        facts = [
            (_("Messages removed, with all that is known of them: %(count)s"), erased.removed),
            *facts,
            (_("Messages of others, the person taken out: %(count)s"), erased.cleaned),
            (_("  of these emptied, because the text names the person: %(count)s"), erased.emptied),
            (_("Notes of who did something, the name taken out: %(count)s"), erased.unnamed),
        ]
    lines = [sentence % {"count": count} for sentence, count in facts if count]
    untouched = _("Not touched: the log, copies of the database, what has arrived, what providers keep.")
    return [*(lines or [_("Nothing is kept of this person.")]), untouched]
