"""Know the languages that a user can choose, and which one a mail to a user is written in."""

from collections.abc import Collection

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.names import NEVER_STORED

SITES = ""  # a user who has chosen none


def choices() -> list[tuple[str, str | Promise]]:
    """Return what a user can choose; a function, so that one more language needs no migration."""
    return [(SITES, _("the site’s language")), *settings.LANGUAGES]


def language_of(addresses: Collection[str]) -> str:
    """Return the language that the users with these addresses have in common; none if they differ, or have chosen none.

    It is asked for each mail (MAIL_LANGUAGE_OF); an index has the addresses.
    """
    written = {form for address in addresses for form in (address, address.lower()) if not NEVER_STORED.search(form)}
    users = get_user_model()._default_manager.filter(email__in=written, language__in=dict(settings.LANGUAGES))
    chosen: dict[str, set[str]] = {address.lower(): set() for address in addresses}
    for address, language in users.values_list("email", "language"):
        chosen[address.lower()].add(language)
    spoken = {language for languages in chosen.values() for language in languages or {SITES}}
    return spoken.pop() if len(spoken) == 1 else SITES


def language_of_page() -> str:
    """Return what the current page speaks, to be kept with a user; if it is the site's own, it need not be."""
    spoken = get_language() or ""
    return spoken if spoken in dict(settings.LANGUAGES) and spoken != settings.LANGUAGE_CODE else SITES
