"""Run the lint of mail templates: print what is wrong with each kind of mail."""

from typing import Any

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

from flasky.mail.previews.kinds import kinds, languages, templates
from flasky.mail.previews.lint import problems


class Command(BaseCommand):
    help = "Say what is wrong with the templates of mails, rendered with hostile content in every language."
    requires_system_checks = [Tags.templates]

    def handle(self, *args: Any, **options: Any) -> None:
        if not kinds():
            raise CommandError(
                "Nothing was checked: there is no template mail/NAME.txt or mail/NAME.html. Look at DIRS and APP_DIRS "
                "in TEMPLATES."
            )
        found = [sentence for kind in kinds() for sentence in problems(kind)]
        for sentence in found:
            self.stdout.write(sentence)
        checked = f"{counted(len(templates()), 'template')} in {counted(len(languages()), 'language')}"
        if found:
            raise CommandError(f"{checked}, {counted(len(found), 'problem')}.")
        self.stdout.write(f"{checked}, nothing wrong.")


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
