from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError

from flasky.mail.catalogue import kinds, templates
from flasky.mail.proofreading import problems


class Command(BaseCommand):
    help = "Say what is wrong with the templates of mails, rendered with hostile content in every language."
    requires_system_checks = [Tags.templates]

    def handle(self, *args: Any, **options: Any) -> None:
        found = [sentence for kind in kinds() for sentence in problems(kind)]
        for sentence in found:
            self.stdout.write(sentence)
        checked = f"{counted(len(templates()), 'template')} in {counted(len(settings.LANGUAGES), 'language')}"
        if found:
            raise CommandError(f"{checked}, {counted(len(found), 'problem')}.")
        self.stdout.write(f"{checked}, nothing wrong.")


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
