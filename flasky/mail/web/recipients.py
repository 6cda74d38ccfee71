"""List who sent a message and who gets it, with what the relay said to each."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.models import OutboxMessage, ProviderStatus
from flasky.mail.status.in_their_words import in_their_words
from flasky.mail.wire.mime import Parts, readable

# What an address is in the message, as a page calls it.
ROLES = {
    "From": gettext_lazy("From"),
    "Reply-To": gettext_lazy("Reply-To"),
    "To": gettext_lazy("To"),
    "Cc": gettext_lazy("Cc"),
    "Bcc": gettext_lazy("Bcc"),
    "Recipients": gettext_lazy("Recipients"),
    "Envelope sender": gettext_lazy("Envelope sender"),
}


@dataclass
class Address:
    written: str
    outcome: str = ""  # once it is final: accepted or refused
    reply: str = ""
    provider: str = ""  # what its API has said, and its id for the mail


def addresses(
    message: OutboxMessage, parts: Parts, statuses: Iterable[ProviderStatus] = ()
) -> dict[str, list[Address]]:
    """Return who sent the message and who gets it, by what they are in it; leave out what there is none of."""
    written = {name: parts.written_addresses(name) for name in ("From", "Reply-To", "To", "Cc")}
    said = {each.address: str(each) for each in statuses}
    found = {name: [with_outcome(message, said, *pair) for pair in pairs] for name, pairs in written.items()}
    listed = {bare.lower() for name in ("To", "Cc") for _, bare in written[name]}
    hidden = [address for address in message.recipients if address.lower() not in listed]
    found["Bcc" if parts.content else "Recipients"] = [with_outcome(message, said, bare, bare) for bare in hidden]
    found["From"] = found["From"] or [Address(readable(message.from_header))]
    if message.envelope_sender.lower() not in [bare.lower() for _, bare in written["From"]] and parts.content:
        found["Envelope sender"] = [Address(message.envelope_sender or _("none (<>)"))]
    return {name: several for name, several in found.items() if several}


def with_outcome(message: OutboxMessage, said: dict[str, str], written: str, bare: str) -> Address:
    outcome, provider = message.outcomes.get(bare), said.get(bare, "")
    if outcome is None:
        return Address(written, provider=provider)
    return Address(
        written, "accepted" if outcome["accepted"] else "refused", in_their_words(outcome["reply"]), provider
    )
