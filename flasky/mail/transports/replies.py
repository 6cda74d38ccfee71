"""What a relay's or a provider's reply means for a message."""

import re
from dataclasses import dataclass
from enum import Enum

MAX_TEXT = 2000  # characters of a reply that are kept


class Verdict(Enum):
    ACCEPTED = "accepted"  # the other side has taken responsibility
    POSTPONED = "refused for now"  # the same message may be accepted later
    REFUSED = "refused"  # the same message will never be accepted
    UNKNOWN = "unknown"  # it was handed over whole, but no reply came
    UNAVAILABLE = "relay not available"  # no message is to blame, and none would be accepted now


@dataclass(frozen=True)
class Reply:
    verdict: Verdict
    text: str
    command: str = ""  # the SMTP command that was answered: MAIL, RCPT or DATA; CONTENT for the end of the message

    def __post_init__(self) -> None:
        # A server may say anything, also what no database column takes.
        if not self.text.isprintable() or len(self.text) > MAX_TEXT:
            readable = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in self.text[:MAX_TEXT])
            object.__setattr__(self, "text", readable)

    @classmethod
    def to(cls, command: str, code: int, text: str) -> "Reply":
        """Return the server's reply to an SMTP command, sorted."""
        return cls(smtp_verdict(command, code, text), f"{code} {text}", command)


# Basic code, enhanced code or None for any (RFC 5321, section 4.2.3; RFC 3463; RFC 4954), in the order of asking.
# At RCPT none of them is about the relay: Postfix says 454 there of one address, and others must not wait for that.
UNAVAILABLE = (
    (421, None),  # service not available, closing the connection
    (None, "4.3.2"),  # system not accepting network messages
    (454, None),  # TLS or authentication not available for the moment
    (530, None),  # a login or encryption is wanted
    (534, None),  # another way to log in is wanted
    (535, None),  # the login was refused
    (538, None),  # encryption is wanted for this login
)
LOGIN_WANTED = (503, 530, 534, 535, 538)  # 503: before the command; the recipient may be right, and the settings wrong
TOO_MANY_RECIPIENTS = ("4.5.3", "5.5.3")  # the others go next time (RFC 5321, section 4.5.3.1.10)


def smtp_verdict(command: str, code: int, text: str) -> Verdict:
    """Sort a reply by its codes; what makes no sense may do so later, unless the message was handed over already."""
    if code // 100 == 2:  # at DATA nothing was handed over yet that could be accepted
        return Verdict.POSTPONED if command == "DATA" else Verdict.ACCEPTED
    enhanced = enhanced_code(text)
    if command == "RCPT":
        if code in LOGIN_WANTED or enhanced in TOO_MANY_RECIPIENTS:
            return Verdict.POSTPONED
    elif (code == 503 and command in ("MAIL", "DATA")) or any(
        basic in (None, code) and status in (None, enhanced) for basic, status in UNAVAILABLE
    ):  # about the order of commands, a login that is missing perhaps
        return Verdict.UNAVAILABLE
    by_first_digit = {4: Verdict.POSTPONED, 5: Verdict.REFUSED}
    nonsense = Verdict.UNKNOWN if command == "CONTENT" else Verdict.POSTPONED
    return by_first_digit.get(code // 100, nonsense)


def is_about_too_many_recipients(reply: Reply) -> bool:
    """Tell whether the recipient would be welcome in a transaction of its own, at once."""
    code, _, text = reply.text.partition(" ")
    return reply.command == "RCPT" and (code == "452" or enhanced_code(text) in TOO_MANY_RECIPIENTS)


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


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code that starts a reply's text (RFC 2034), such as 4.2.2."""
    found = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?=\s|$)", text)
    return found[0] if found else None


OUT_OF_TURN = re.compile(r"pipelin|synchroni[sz]ation|out of sequence|bad sequence", re.IGNORECASE)

HINT = re.compile(
    r"(?:again|retry|later|wait|back|greylist\w*|delay\w*)\D{0,40}?(?:(\d{1,2}):(\d\d):(\d\d)|(\d{1,5})\s*(s|m|h))",
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
        return int(number) * SECONDS[unit.lower()]
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)
