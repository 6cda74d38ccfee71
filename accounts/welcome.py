"""Tell the administrators about a new user: who, when, by which way, how many today, and where to look."""

from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from accounts.templatetags.names import in_subject, unlinked
from flasky.mail import cause_of, language_for, send_email, stored_since
from flasky.mail.runtime import clock
from flasky.mail.status.written import long_moment
from flasky.mail.storing.origin import origin
from flasky.site.address import site_url

KIND = "mail/new_user"
MOST_COUNTED = 1000  # mails of a day: each is looked at


def tell_administrators(user: User) -> None:
    """Send the mail about the user; many within minutes become one with a list, as MAIL_DIGEST_AFTER says."""
    language = language_for(settings.FLASKY_ADMIN)
    with translation.override(language):
        said = facts(user)
        about = {"user": user, "digest": {"name": user.username, **said}, **said}
        send_email(settings.FLASKY_ADMIN, subject(user), KIND, cause=user, language=language, **about)


def subject(user: User) -> str:
    return _("New User: %(name)s") % {"name": in_subject(user.username)}


def facts(user: User) -> dict[str, Any]:
    return {"when": long_moment(user.date_joined), "way": way(), "today": today(), **links(user)}


def way() -> str:
    """Return the way by which the user came, as far as it is known."""
    where = origin()
    if where["source"] == "index":
        return _("through the form")
    if where["source"] == "admin":
        return _("in the admin, by %(person)s") % {"person": unlinked(where["actor"]) or _("somebody")}
    return _("by a command or a program")


def today() -> str:
    """Return how many have come since midnight, this one included; as the outbox has told of them."""
    midnight = timezone.localtime(clock.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    return in_words(stored_since(KIND, midnight, MOST_COUNTED) + 1)


def in_words(count: int) -> str:
    if count > MOST_COUNTED:
        return _("more than %(count)s new users") % {"count": MOST_COUNTED}
    return ngettext("%(count)s new user", "%(count)s new users", count) % {"count": count}


def links(user: User) -> dict[str, str]:
    """Return where the user and the mail can be seen; nothing if nobody knows where the site is."""
    site = site_url()
    try:
        of_user = reverse("admin:accounts_user_change", args=[user.pk])
        of_mails = reverse("admin:flasky_mail_outboxmessage_changelist")
    except NoReverseMatch:
        site = ""
    if not site:
        return {"user_url": "", "message_url": ""}
    query = urlencode({"cause": cause_of(user)})
    return {"user_url": f"{site}{of_user}", "message_url": f"{site}{of_mails}?{query}"}


def sample(text: str) -> dict[str, Any]:
    """Return what the mail is shown with as a sample."""
    url = "https://www.example.com/admin/"
    by_whom = _("in the admin, by %(person)s") % {"person": unlinked(text)}
    said = {
        "when": long_moment(timezone.now().replace(hour=8, minute=30, second=0)),
        "way": by_whom,
        "today": in_words(3),
    }
    return {"user": User(username=text), **said, "user_url": url, "message_url": url}


def digest_sample(text: str) -> dict[str, Any]:
    """Return what the mail about several users is shown with as a sample."""
    said = {name: value for name, value in sample(text).items() if name != "user"}
    people = [text, "Bo", "陈小明", "Zoë"]
    return {"mails": [{"name": name, **said, "today": in_words(9)} for name in people], "count": len(people)}
