"""What became of the mail that a visitor caused, in words for the visitor: nothing of the mail itself."""

from typing import NamedTuple

from django.db import Error as DatabaseFailure

from flasky.mail import outcome_of
from flasky.mail.models import FINISHED, State

# A visitor cannot act on a refusal: what will be tried again is on its way.
ON_ITS_WAY = "The administrators’ notification is on its way."
NOT_HANDED_OVER = "The administrators’ notification could not be handed over to the mail server."
SENTENCES: dict[str, str] = {
    State.QUEUED: ON_ITS_WAY,
    State.SENDING: ON_ITS_WAY,
    State.SENT: "The administrators’ notification has been handed over to the mail server.",
    State.FAILED: NOT_HANDED_OVER,
    State.HELD: "The administrators’ notification is kept back for now.",
    State.CANCELLED: NOT_HANDED_OVER,
}


class Fate(NamedTuple):
    pk: int
    state: str  # of a later version, perhaps: old and new processes run side by side for a while

    @property
    def sentence(self) -> str:
        return SENTENCES.get(self.state, ON_ITS_WAY)

    @property
    def is_final(self) -> bool:
        return self.state in FINISHED


def fate_of(cause: str) -> Fate | None:
    """Return what became of the newest message with this cause; None without a message, or without a cause."""
    try:
        newest = outcome_of(cause)
    except DatabaseFailure:  # the page needs no database but for this line
        return None
    return Fate(*newest) if newest else None
