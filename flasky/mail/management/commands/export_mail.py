"""Write what the outbox keeps of a person into a file."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from flasky.mail.management.person import add_person, person_of
from flasky.mail.privacy.export import export


class Command(BaseCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Write what the outbox keeps of a person into a zip file: a list in JSON, and the mails as .eml files."
        )
        parser.add_argument("file", metavar="FILE.zip", help=_("a new file; nobody but you can read it"))
        add_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["file"]
        if "@" in path and not path.endswith(".zip"):
            sentence = _("%(path)s is in the place of the file. Name the file first: export_mail FILE.zip %(path)s")
            raise CommandError(sentence % {"path": path})
        person = person_of(options)
        try:
            with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                listed, whole = export(person, file)
        except OSError as error:
            sentence = _("%(path)s cannot be written: %(error)s. Name a new file.")
            raise CommandError(sentence % {"path": path, "error": error.strerror}) from error
        except UnicodeEncodeError as error:
            sentence = _("%(path)r is no file's name here. Name a new file.")
            raise CommandError(sentence % {"path": path}) from error
        sentence = ngettext(
            "%(count)s message listed in %(path)s, %(whole)s of them with the mail itself. Look through it before you "
            "hand it out: mails about a person may say something of others.",
            "%(count)s messages listed in %(path)s, %(whole)s of them with the mail itself. Look through it before you "
            "hand it out: mails about a person may say something of others.",
            listed,
        )
        self.stdout.write(sentence % {"count": listed, "path": path, "whole": whole})
