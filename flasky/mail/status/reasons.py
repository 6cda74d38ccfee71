"""Sort failures by their reasons: what a reply says in its code, by a few words of our own."""

import re
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# By the enhanced status code (RFC 3463) without its class, which says only whether it was for good.
REASONS: dict[str, str | Promise] = {
    "1.1": _("user unknown"),
    "1.2": _("unknown host"),
    "1.3": _("not a valid address"),
    "1.6": _("mailbox has moved"),
    "1.8": _("sender refused"),
    "1.10": _("takes no mail"),
    "2.1": _("mailbox disabled"),
    "2.2": _("mailbox full"),
    "2.3": _("mail too large"),
    "3.4": _("mail too large"),
    "4.1": _("host does not answer"),
    "4.4": _("no route to the host"),
    "4.7": _("not delivered in time"),
    "7.1": _("refused by policy"),
    "7.8": _("login refused"),
    "7.26": _("sender not authenticated"),
}
# By the code alone (RFC 5321), or by words, where a server says no more.
CODES: dict[str, str | Promise] = {
    "421": _("host does not answer"),
    "535": _("login refused"),
    "550": _("mailbox not available"),
    "551": _("user unknown"),
    "552": _("mailbox full"),
    "553": _("not a valid address"),
    "554": _("refused"),
}
OTHER = _("refused")
WITHOUT_REPLY = _("given up without a reply")
WRONG_ADDRESS = ("1.1", "1.2", "1.3", "1.6", "1.10", "2.1", "551", "553")  # another address would help
UNKNOWN = re.compile(r"user unknown|unknown user|no such (?:user|mailbox)|does not exist", re.IGNORECASE)
CODE = re.compile(r"\s*(?P<code>[245]\d\d)[ -]+(?:[245]\.(?P<enhanced>\d{1,3}\.\d{1,3}))?")


class Reason(NamedTuple):
    code: str  # in the query string
    label: str | Promise
    is_the_address: bool = False


def reason_of(reply: str) -> Reason:
    """Return why a message failed whose last reply this is."""
    if not reply:
        return Reason("none", WITHOUT_REPLY)
    found = CODE.match(reply)
    enhanced, code = (found["enhanced"] or "", found["code"]) if found else ("", "")
    if enhanced not in REASONS and UNKNOWN.search(reply):
        enhanced = "1.1"
    if enhanced in REASONS:
        return Reason(enhanced, REASONS[enhanced], enhanced in WRONG_ADDRESS)
    if code in CODES:
        return Reason(code, CODES[code], code in WRONG_ADDRESS)
    return Reason("other", OTHER)
