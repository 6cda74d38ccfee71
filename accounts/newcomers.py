"""Limit how many new names the form stores: each is a row, and mail to the administrators.

A browser is counted, so that one person does not use up what an address has: a school is behind one. A robot throws its
cookie away, and is counted by its address; if it has many, what all visitors have together is the end.
"""

import logging

from django.conf import settings

from accounts.models import User
from accounts.visitor import Visitor
from flasky.guard.limits import Limit, TooMany, is_first, take_for
from flasky.mail import ensure_room

logger = logging.getLogger(__name__)


def let_in(name: str, visitor: Visitor, where: str) -> tuple[User, bool]:
    """Store the visitor's new name, and return the user and whether it is new.

    Raise TooMany if there were too many, and OutboxFull if there is no room for the mail about one more.
    """

    def store() -> tuple[User, bool]:
        ensure_room()
        return User.objects.get_or_create_visitor(name)

    try:
        return take_for(store, *limits_of(visitor, where))
    except TooMany as refusal:
        if is_first(refusal):
            logger.warning("New names are refused, this one from %s: %s.", where or "this machine", refusal)
        raise


def limits_of(visitor: Visitor, where: str) -> list[Limit]:
    seconds = settings.NAME_PERIOD
    return [
        Limit("new names of a visitor", visitor.number, settings.NAMES_PER_VISITOR, seconds, is_final=True),
        Limit("new names of an address", where, settings.NAMES_PER_ADDRESS if where else 0, seconds, is_final=True),
        Limit("new names in total", "", settings.NAMES_IN_TOTAL, seconds, is_final=True),
    ]
