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
    State.GATHERED: _("The administrators’ notification has gone in one mail with others."),  # whose digest is gone
}

DONE, NOW, TO_COME, HELD, NOT = "done", "now", "to-come", "held", "not"  # as the style sheet knows a step
STORED, WAY, ACCEPTED = _("Stored"), _("On its way"), _("Accepted by the mail server")
UNDERWAY = ((STORED, DONE), (WAY, NOW), (ACCEPTED, TO_COME))
STEPS: dict[str, tuple[tuple[str | Promise, str], ...]] = {
    State.SENT: ((STORED, DONE), (WAY, DONE), (ACCEPTED, DONE)),
    State.FAILED: ((STORED, DONE), (WAY, DONE), (_("Not accepted"), NOT)),
    State.HELD: ((STORED, DONE), (_("Kept back"), HELD), (ACCEPTED, TO_COME)),
    State.CANCELLED: ((STORED, DONE), (_("Called off"), NOT), (ACCEPTED, TO_COME)),
    State.GATHERED: ((STORED, DONE), (WAY, DONE), (ACCEPTED, DONE)),
}


class Notification(NamedTuple):
    pk: int
    state: str  # of a later version, perhaps: old and new processes run side by side for a while

    @property
    def sentence(self) -> str:
        return str(SENTENCES.get(self.state, ON_ITS_WAY))

    @property
    def steps(self) -> tuple[tuple[str | Promise, str], ...]:
        """Return the steps of its way, each with how far it is."""
        return STEPS.get(self.state, UNDERWAY)

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
