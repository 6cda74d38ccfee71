"""Fit a message to what an SMTP server says that it can, or refuse it before the server is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flasky.mail.transports.replies import Reply, Verdict
from flasky.mail.transports.sentences import NO_WIDE_ADDRESS, NO_WIDE_SENDER, NOT_TO_BE_ALTERED, TOO_LARGE
from flasky.mail.wire.headers import with_wide_addresses
from flasky.mail.wire.seven_bits import NotToBeAltered, has_long_line, in_seven_bits


@dataclass(frozen=True)
class Fitted:
    """What leaves for a message, and whom it cannot leave for."""

    content: bytes
    options: str  # of MAIL, with a space before each
    refused: dict[str, Reply]


def fit(message: Any, features: Mapping[str, str], server: str) -> Fitted:
    """Return the message as a server with these EHLO keywords, in small letters, takes it."""
    recipients, content = message.remaining_recipients, bytes(message.content)
    options, refused = "", wide_ones_refused(message, server) if "smtputf8" not in features else {}
    if all(address in refused for address in recipients):
        return Fitted(content, options, refused)
    if "smtputf8" in features and not (message.envelope_sender + "".join(recipients)).isascii():  # RFC 6531
        content, options = with_wide_addresses(content), " SMTPUTF8"
    is_taken_as_it_is = content.isascii() or "8bitmime" in features or bool(options)
    try:
        if not is_taken_as_it_is or has_long_line(content):
            content = in_seven_bits(content)
    except NotToBeAltered as error:
        if not is_taken_as_it_is:
            return Fitted(content, options, dict.fromkeys(recipients, _not_to_be_altered(server, str(error))))
    if not content.isascii():
        options += " BODY=8BITMIME"  # RFC 6152
    if "size" in features:  # RFC 1870
        limit = _number(features["size"])
        if limit and len(content) > limit:
            return Fitted(content, options, dict.fromkeys(recipients, _too_large(server, len(content), limit)))
        options = f" SIZE={len(content)}{options}"
    return Fitted(content, options, refused)


def wide_ones_refused(message: Any, server: str) -> dict[str, Reply]:
    """Return the refusal of each recipient with an address outside ASCII; of all if the sender's is."""
    if not message.envelope_sender.isascii():
        reply = Reply(Verdict.REFUSED, NO_WIDE_SENDER % {"server": server})
        return dict.fromkeys(message.remaining_recipients, reply)
    wide = [address for address in message.remaining_recipients if not address.isascii()]
    return dict.fromkeys(wide, Reply(Verdict.REFUSED, NO_WIDE_ADDRESS % {"server": server})) if wide else {}


def _not_to_be_altered(server: str, reason: str) -> Reply:
    return Reply(Verdict.REFUSED, NOT_TO_BE_ALTERED % {"server": server, "reason": reason})


def _too_large(server: str, size: int, limit: int) -> Reply:
    return Reply(Verdict.REFUSED, TOO_LARGE % {"size": f"{size:,}", "server": server, "limit": f"{limit:,}"})


def _number(written: str) -> int:
    """Return the limit that a server announces; 0 means that it has none, and nonsense means nothing."""
    first = written.split()[0] if written.split() else ""
    return int(first) if first.isascii() and first.isdigit() and len(first) < 19 else 0
