"""Say what became of the mail that a visitor caused, in words for the visitor: nothing of the mail itself."""

from typing import NamedTuple

from django.db import Error as DatabaseFailure
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from flasky.mail import outcome_of
from flasky.mail.models import State

# A visitor cannot act on a refusal: what will be tried again is on its way.
ON_ITS_WAY = _("The administrators’ notification is on its way.")
NOT_HANDED_OVER = _("The administrators’ notification could not be handed over to the mail server.")
SENTENCES: dict[str, str | Promise] = {
    State.QUEUED: ON_ITS_WAY,
    State.SENDING: ON_ITS_WAY,
    State.SENT: _("The administrators’ notification has been handed over to the mail server."),
    State.FAILED: NOT_HANDED_OVER,
    State.HELD: _("The administrators’ notification is kept back for now."),
    State.CANCELLED: NOT_HANDED_OVER,
}


class Notification(NamedTuple):
    pk: int
    state: str  # of a later version, perhaps: old and new processes run side by side for a while

    @property
    def sentence(self) -> str:
        return str(SENTENCES.get(self.state, ON_ITS_WAY))

    @property
    def is_final(self) -> bool:
        return self.state in State.finished()


def notification_of(cause: str) -> Notification | None:
    """Return what became of the newest message with this cause; None without a message, or without a cause."""
    try:
        newest = outcome_of(cause)
    except DatabaseFailure:  # the page needs no database but for this line
        return None
    return Notification(*newest) if newest else None
