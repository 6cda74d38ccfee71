"""Run the lint of mail templates: print what is wrong with each kind of mail."""

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from flasky.mail.previews.kinds import kinds, languages, templates
from flasky.mail.previews.lint import problems


class Command(BaseCommand):
    requires_system_checks = [Tags.templates]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.description = _(
            "Say what is wrong with the templates of mails, rendered with hostile content in every language."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not kinds():
            raise CommandError(
                _(
                    "Nothing was checked: there is no template mail/NAME.txt or mail/NAME.html. Look at DIRS and "
                    "APP_DIRS in TEMPLATES."
                )
            )
        found = [sentence for kind in kinds() for sentence in problems(kind)]
        for sentence in found:
            self.stdout.write(sentence)
        number, spoken = len(templates()), len(languages())
        checked = {
            "templates": ngettext("%(count)s template", "%(count)s templates", number) % {"count": number},
            "languages": ngettext("%(count)s language", "%(count)s languages", spoken) % {"count": spoken},
        }
        if found:
            problem = ngettext("%(count)s problem", "%(count)s problems", len(found)) % {"count": len(found)}
            sentence = _("%(templates)s in %(languages)s, %(problems)s.")
            raise CommandError(sentence % {**checked, "problems": problem})
        self.stdout.write(_("%(templates)s in %(languages)s, nothing wrong.") % checked)
