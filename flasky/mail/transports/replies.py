"""Sort a relay's or a provider's reply by what it means for the message."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from flasky.mail.transports.reply_table import Advice, Row, Scope, Time, enhanced_code, find_row

MAX_TEXT = 2000  # characters of a reply that are kept


class Verdict(Enum):
    ACCEPTED = "accepted"  # the other side has taken responsibility
    POSTPONED = "refused for now"  # the same message may be accepted later
    REFUSED = "refused"  # the same message will never be accepted
    UNKNOWN = "unknown"  # it was handed over whole, but no reply came
    UNAVAILABLE = "relay not available"  # no message is to blame, and none would be accepted now


@dataclass(frozen=True)
class Receipt:
    """What a provider of Anymail has recorded about a recipient."""

    provider: str
    provider_id: str  # its own number or name for the mail, by which its webhooks speak of it
    status: str  # in Anymail's words: sent, queued, rejected, …


@dataclass(frozen=True)
class Reply:
    verdict: Verdict
    text: str
    command: str = ""  # the SMTP command that was answered: MAIL, RCPT or DATA; CONTENT for the end of the message
    sorted_as: Row | None = None  # where the text begins with no code that the table could sort
    receipt: Receipt | None = None

    def __post_init__(self) -> None:
        # A server may say anything, also what no database column takes.
        if not self.text.isprintable() or len(self.text) > MAX_TEXT:
            readable = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in self.text[:MAX_TEXT])
            object.__setattr__(self, "text", readable)

    @classmethod
    def to(cls, command: str, code: int, text: str) -> "Reply":
        """Return the server's reply to an SMTP command, sorted."""
        return cls(smtp_verdict(command, code, text), f"{code} {text}", command)

    @property
    def row(self) -> Row:
        """Return what the table knows about this refusal."""
        return self.sorted_as or find_row(self.command, self.text)

    @property
    def scope(self) -> Scope:
        return self.row.scope

    @property
    def time(self) -> Time:
        return self.row.time

    @property
    def is_about_account(self) -> bool:
        return self.verdict in (Verdict.POSTPONED, Verdict.UNAVAILABLE) and self.scope == Scope.ACCOUNT

    @property
    def wants_new_connection(self) -> bool:
        return (self.scope, self.time) == (Scope.CONNECTION, Time.NOW)

    @property
    def is_crowded(self) -> bool:
        """Tell whether fewer connections may help."""
        return self.verdict == Verdict.UNAVAILABLE and self.scope == Scope.CONNECTION


GOODBYE = 221  # closing the channel (RFC 5321, section 4.2.3): by that nobody takes a mail

# About none of the messages; at RCPT everything is about one recipient, and others must not wait for that.
ABOUT_NO_MESSAGE = {Scope.CONNECTION, Scope.ACCOUNT, Scope.RELAY, Scope.CONFIGURATION}


def smtp_verdict(command: str, code: int, text: str) -> Verdict:
    """Sort a reply by the table; what makes no sense may do so later, unless the message was handed over already."""
    if code // 100 == 2 and code != GOODBYE:  # at DATA nothing was handed over yet that could be accepted
        return Verdict.POSTPONED if command == "DATA" else Verdict.ACCEPTED
    if code // 100 not in (4, 5) and (code != GOODBYE or command == "CONTENT"):
        return Verdict.UNKNOWN if command == "CONTENT" else Verdict.POSTPONED
    verdict = verdict_of(find_row(command, f"{code} {text}"[:MAX_TEXT]))
    return Verdict.POSTPONED if verdict == Verdict.UNAVAILABLE and command == "RCPT" else verdict


def verdict_of(row: Row) -> Verdict:
    if row.time == Time.NEVER:
        return Verdict.REFUSED
    return Verdict.UNAVAILABLE if row.scope in ABOUT_NO_MESSAGE else Verdict.POSTPONED


def reply_about_all(replies: Iterable[Reply]) -> Reply | None:
    """Return the reply by which no message is to blame, if there is one; at RCPT all must say it of the account."""
    replies = list(replies)
    unavailable = [reply for reply in replies if reply.verdict == Verdict.UNAVAILABLE]
    if not unavailable and all(reply.is_about_account for reply in replies):
        unavailable = replies
    return next(iter(unavailable), None)


def names_settings(reply: Reply) -> bool:
    """Tell whether a mail is refused for good because of a sender, a login or a DNS record."""
    return reply.verdict == Verdict.REFUSED and reply.scope == Scope.CONFIGURATION


NO_RELAYING = re.compile(
    r"relay(?:ing)? (?:access )?(?:denied|not (?:permitted|allowed))|unable to relay", re.IGNORECASE
)


def may_be_about_settings(reply: Reply) -> bool:
    """Tell whether a mail is refused for good by a policy (5.7.x), or in words that name no size and no recipient.

    What is said of a recipient, 5.1.x, is about the recipient, however many there are.
    """
    if reply.verdict != Verdict.REFUSED or names_settings(reply):
        return reply.verdict == Verdict.REFUSED
    if reply.command == "MAIL":  # the relay knows the sender and the size only
        return reply.row.advice != Advice.SIZE
    code, _, text = reply.text.partition(" ")
    enhanced = enhanced_code(text) or ""
    if reply.command == "RCPT":
        return enhanced.startswith("5.7.") or NO_RELAYING.search(text) is not None
    is_policy = enhanced.startswith("5.7.") or (not enhanced and code in ("530", "550", "553", "554"))
    return is_policy and reply.command in ("DATA", "CONTENT")


def is_alike(one: str, other: str) -> bool:
    """Tell whether two replies say the same, but for addresses, numbers and names with digits in them."""
    return _without_particulars(one) == _without_particulars(other)


def _without_particulars(text: str) -> str:
    code, _, rest = text.partition(" ")
    words = re.sub(r"\S*[\d@<]\S*", "#", rest.lower()).split()
    return " ".join([code, enhanced_code(rest) or "", *words])


def texts_of(summary: str) -> list[str]:
    """Return the replies in the summary of an attempt: a line for each recipient, if they were not the same."""
    return [re.sub(r"^\S+@\S+: ", "", text) for text in re.split(r"\n(?=\S+@\S+: )", summary)]


def is_about_too_many_recipients(reply: Reply) -> bool:
    """Tell whether the recipient would be welcome in a transaction of its own, at once."""
    if reply.verdict == Verdict.ACCEPTED:  # the table is long, and each acceptance of a mail has a text of its own
        return False
    return (reply.scope, reply.time) == (Scope.RECIPIENT, Time.NOW)


OUT_OF_TURN = re.compile(r"pipelin|synchroni[sz]ation|out of sequence|bad sequence", re.IGNORECASE)


def is_out_of_turn(reply: Reply) -> bool:
    """Tell whether a server refuses an envelope because it came behind the text before it (RFC 2920, section 3.1).

    Haraka says 503 since 3.3, against smuggled mails; Exim 554 SMTP synchronization error. A sender's 50x is a reply to
    the form of the command (RFC 5321, section 4.2.1), and so nothing that the message itself has to answer for.
    """
    code, _, text = reply.text.partition(" ")
    if reply.command == "CONTENT" or not code.startswith("5"):
        return False
    is_about_form = code.startswith("50") and reply.command == "MAIL"
    return code == "503" or is_about_form or OUT_OF_TURN.search(text) is not None


# The forms that are known: "try again in 300 seconds", "please come back in 00:04:59", "Greylisted for 5 minutes". A
# number near such words is not enough: rates, queue ids, versions and dates have numbers and letters, too.
HINT = re.compile(
    r"\b(?:"
    r"(?:(?:try|come|be|call|connect|send)(?: it)?(?: again| back| later)+|retry|re-try|resend|return|deferred|delayed)"
    r"[,:;]?(?: again| later| it| please)*[,:;]? \(?(?:in|after|for)"
    r"|greylist\w*[^\d\n]{0,60}\b(?:in|for|after)"
    r"|wait(?: for)?"
    r")(?: at least| about| another| the next)? "
    r"(?:(\d{1,2}):(\d\d):(\d\d)|(\d{1,5}) ?(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?))(?![\w/:])",
    re.IGNORECASE,
)
SECONDS = {"s": 1, "m": 60, "h": 3600}


def retry_hint(text: str) -> int | None:
    """Return the seconds after which a reply asks to be tried again, as greylisting servers do; None without it."""
    found = HINT.search(text)
    if not found:
        return None
    hours, minutes, seconds, number, unit = found.groups()
    if number:
        return int(number) * SECONDS[unit[0].lower()]
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
