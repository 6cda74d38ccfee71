"""What a relay's or a provider's reply means for a message."""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    ACCEPTED = "accepted"  # the other side has taken responsibility
    POSTPONED = "refused for now"  # the same message may be accepted later
    REFUSED = "refused"  # the same message will never be accepted
    UNKNOWN = "unknown"  # it was handed over whole, but no reply came


@dataclass(frozen=True)
class Reply:
    verdict: Verdict
    text: str
    command: str = ""  # the SMTP command that was answered: MAIL, RCPT or DATA


def smtp_verdict(code: int) -> Verdict:
    """Sort an SMTP reply code by its first digit (RFC 5321, section 4.2.1); what makes no sense may do so later."""
    return {2: Verdict.ACCEPTED, 5: Verdict.REFUSED}.get(code // 100, Verdict.POSTPONED)


def provider_verdict(error: Exception, status_code: int | None) -> Verdict:
    """Sort a provider's failure by its HTTP status (RFC 9110, section 15), or by the exception if there is none."""
    if status_code is None:  # nothing was sent, or no answer came
        return Verdict.REFUSED if isinstance(error, (TypeError, ValueError)) else Verdict.POSTPONED
    if status_code in (401, 403, 408, 425, 429) or status_code >= 500:
        return Verdict.POSTPONED  # login, time-out, too early, too many: not the message's fault
    return Verdict.REFUSED
