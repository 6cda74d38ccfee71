"""What a stored message is, its history, and what the processes that deliver tell each other."""

from flasky.mail.models.claims import CLAIM_SIZE, IN_TURN
from flasky.mail.models.history import MAX_PERSON, Action, Attempt
from flasky.mail.models.hourly import WAITS, Tally
from flasky.mail.models.message import (
    LOST_CLAIMS_UNTIL_HELD,
    UNKNOWN_ENDS_UNTIL_HELD,
    OutboxMessage,
    OutboxMessageQuerySet,
)
from flasky.mail.models.probes import WriteProbe
from flasky.mail.models.processes import SIGNS_MISSED, Deliverer, this_process
from flasky.mail.models.recipients import FurtherRecipient
from flasky.mail.models.relays import CALM, SAME_CROWD, Relay, RelayTrouble, Seat
from flasky.mail.models.states import FINISHED, Door, Priority, State

__all__ = [
    "CALM",
    "CLAIM_SIZE",
    "FINISHED",
    "IN_TURN",
    "LOST_CLAIMS_UNTIL_HELD",
    "MAX_PERSON",
    "SAME_CROWD",
    "SIGNS_MISSED",
    "UNKNOWN_ENDS_UNTIL_HELD",
    "WAITS",
    "Action",
    "Attempt",
    "Deliverer",
    "Door",
    "FurtherRecipient",
    "OutboxMessage",
    "OutboxMessageQuerySet",
    "Priority",
    "Relay",
    "RelayTrouble",
    "Seat",
    "State",
    "Tally",
    "WriteProbe",
    "this_process",
]
