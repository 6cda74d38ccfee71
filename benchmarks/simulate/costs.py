"""What delivering and its database cost, as it was measured."""

from dataclasses import dataclass

from flasky.mail.delivery import batches

# Mails/s over loopback on a quiet machine on 2026-11-22, from which docs/scaling.md reckons.
RATES = {"SQLite": 1302, "PostgreSQL": 766}


@dataclass(frozen=True)
class Costs:
    """What the delivering process and its database need, in s; the other threads of the process wait meanwhile."""

    message: float  # to fetch, hand over and record one
    claim: float  # to ask what is due and to claim it, however many
    database: float  # the part of both for which all other processes wait, too


# What claims of 25 messages instead of 50 lose of the rate, and the database's part: see docs/performance.md.
SMALLER_CLAIMS_LOSE = {"SQLite": 0.10, "PostgreSQL": 0.16}
DATABASE_PART = {"SQLite": 0.68, "PostgreSQL": 0.38}


def measured_costs(database):
    """Return the costs with which the model drains over loopback exactly as fast as it was measured."""
    message, lost = 1 / RATES[database], SMALLER_CLAIMS_LOSE[database]
    claim = message * (1 / (1 - lost) - 1)  # its part of one message, in claims of 50
    return Costs(message - claim, claim * batches.CLAIM_LIMIT, DATABASE_PART[database])
