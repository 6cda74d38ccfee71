"""List who sent a message and who gets it, with what the relay said to each."""

from dataclasses import dataclass

from flasky.mail.models import OutboxMessage
from flasky.mail.wire.mime import Parts, readable


@dataclass
class Address:
    written: str
    outcome: str = ""  # once it is final: accepted or refused
    reply: str = ""


def addresses(message: OutboxMessage, parts: Parts) -> dict[str, list[Address]]:
    """Return who sent the message and who gets it, by what they are in it; leave out what there is none of."""
    written = {name: parts.written_addresses(name) for name in ("From", "Reply-To", "To", "Cc")}
    found = {name: [with_outcome(message, *pair) for pair in pairs] for name, pairs in written.items()}
    listed = {bare.lower() for name in ("To", "Cc") for _, bare in written[name]}
    hidden = [address for address in message.recipients if address.lower() not in listed]
    found["Recipients" if message.is_pruned else "Bcc"] = [with_outcome(message, bare, bare) for bare in hidden]
    found["From"] = found["From"] or [Address(readable(message.from_header))]
    if message.envelope_sender.lower() not in [bare.lower() for _, bare in written["From"]] and not message.is_pruned:
        found["Envelope sender"] = [Address(message.envelope_sender or "none (<>)")]
    return {name: several for name, several in found.items() if several}


def with_outcome(message: OutboxMessage, written: str, bare: str) -> Address:
    outcome = message.outcomes.get(bare)
    if outcome is None:
        return Address(written)
    return Address(written, "accepted" if outcome["accepted"] else "refused", outcome["reply"])
