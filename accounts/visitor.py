"""Remember a visitor in a signed cookie of its own: typing a name stores no session.

The cookie carries no authority. Whoever has a copy sees a name on a page and what became of a notification, and uses up
the new names of its owner.
"""

from secrets import token_urlsafe
from typing import NamedTuple

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE = "visitor"
SALT = "flasky.visitor"  # what is signed with the same key for another purpose is no visitor


class Visitor(NamedTuple):
    name: str = ""
    known: bool = False  # was there such a user before?
    cause: str = ""  # of the mail of which the page says what became
    number: str = ""  # by which the visitor is counted; nothing else knows it


STRANGER = Visitor()


def visitor_of(request: HttpRequest) -> Visitor:
    """Return the visitor of the cookie; a stranger unless it was signed here in the last SESSION_COOKIE_AGE seconds."""
    try:
        remembered = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=settings.SESSION_COOKIE_AGE)
        return Visitor(**remembered)
    except Exception:  # another version may have signed anything: of many kinds of errors, all mean the same
        return STRANGER


def numbered(visitor: Visitor) -> Visitor:
    """Return the visitor with a number, by which all that the browser sends from now on is counted."""
    return visitor if visitor.number else visitor._replace(number=token_urlsafe(9))


def remember(visitor: Visitor, response: HttpResponse) -> None:
    """Give the browser the cookie, until it is closed."""
    response.set_cookie(
        COOKIE,
        signing.dumps(visitor._asdict(), salt=SALT),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
