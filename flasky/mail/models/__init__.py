"""Store messages, their history, and what the processes that deliver tell each other."""

from flasky.mail.models.claims import CLAIM_SIZE, IN_TURN, LOST_CLAIMS_UNTIL_HELD, UNKNOWN_ENDS_UNTIL_HELD
from flasky.mail.models.daily import DailyTask
from flasky.mail.models.gathered import MOST_IN_A_DIGEST, Gathered
from flasky.mail.models.history import MAX_ACTOR, Action, Attempt
from flasky.mail.models.hourly import HourlyCount
from flasky.mail.models.message import (
    MAX_REQUEST_ID,
    MAX_SOURCE,
    OutboxMessage,
    OutboxMessageQuerySet,
)
from flasky.mail.models.over_budget import OverBudget, OverBudgetQuerySet
from flasky.mail.models.probes import WriteProbe
from flasky.mail.models.processes import SIGNS_MISSED, Process
from flasky.mail.models.provider_status import ProviderStatus
from flasky.mail.models.recipients import FurtherRecipient
from flasky.mail.models.relays import CALM, SAME_CROWD, ConnectionSlot, Relay, RelayOutage
from flasky.mail.models.states import Priority, Source, State

__all__ = [
    "CALM",
    "CLAIM_SIZE",
    "IN_TURN",
    "LOST_CLAIMS_UNTIL_HELD",
    "MAX_ACTOR",
    "MAX_REQUEST_ID",
    "MAX_SOURCE",
    "MOST_IN_A_DIGEST",
    "SAME_CROWD",
    "SIGNS_MISSED",
    "UNKNOWN_ENDS_UNTIL_HELD",
    "Action",
    "Attempt",
    "ConnectionSlot",
    "DailyTask",
    "FurtherRecipient",
    "Gathered",
    "HourlyCount",
    "OutboxMessage",
    "OutboxMessageQuerySet",
    "OverBudget",
    "OverBudgetQuerySet",
    "Priority",
    "Process",
    "ProviderStatus",
    "Relay",
    "RelayOutage",
    "Source",
    "State",
    "WriteProbe",
]
