"""Read from a command's arguments which person is meant."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from flasky.mail import cause_of
from flasky.mail.privacy.trail import Person
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.wire.compose import envelope_address


def add_person(parser: CommandParser) -> None:
    who, name = _("who they are here, such as accounts.user:17"), _("a name under which they log in")
    parser.add_argument("address", nargs="*", metavar="ADDRESS", help=_("a mail address of the person"))
    parser.add_argument("--about", action="append", default=[], metavar="OBJECT", help=who)
    parser.add_argument("--actor", action="append", default=[], metavar="NAME", help=name)
    parser.add_argument("--user", metavar="NAME", help=_("a user: all three of the above"))


def person_of(options: dict[str, Any]) -> Person:
    """Raise CommandError if nobody is named, or by something that is no address, object or user."""
    addresses, causes, names = set(options["address"]), set(options["about"]), set(options["actor"])
    if options["user"]:
        user = _user(options["user"])
        causes.add(cause_of(user))
        names.add(user.get_username())
        addresses |= {getattr(user, user.get_email_field_name(), "")} - {""}
    if not (addresses or causes or names):
        raise CommandError(_("Name a person: an address, --user NAME, --about accounts.user:17 or --actor NAME."))
    for cause in causes:
        if ":" not in cause:
            sentence = _("%(text)r is no object: write its model and its key, such as accounts.user:17.")
            raise CommandError(sentence % {"text": cause})
    return Person(frozenset(map(_address, addresses)), frozenset(causes), frozenset(names))


def _user(name: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)  # type: ignore[attr-defined]
    except model.DoesNotExist:
        sentence = _(
            "There is no user %(name)r. Of one who was deleted name what is left: --about accounts.user:17, --actor."
        )
        raise CommandError(sentence % {"name": name}) from None


def _address(typed: str) -> str:
    try:
        return envelope_address(typed).lower()
    except ValueError as error:
        raise CommandError(in_their_words(str(error))) from None
