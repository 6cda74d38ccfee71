"""Report what the drill has found out, in numbers and in a verdict."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from flasky.drill.crash_points import POINTS
from flasky.mail.models import UNKNOWN_ENDS_UNTIL_HELD, OutboxMessage, State


@dataclass
class Report:
    """Compare what was stored with what the relay says that it accepted."""

    stored: dict[int, str]  # Message-IDs by primary key
    messages: Sequence[OutboxMessage]
    accepted: Counter[str]  # by Message-ID
    unanswered: int  # accepted, and the connection dropped before the reply
    threads: int
    kills: Sequence[str]  # where
    recoveries: Sequence[float]  # s
    seconds: float

    @cached_property
    def lost(self) -> list[str]:
        rows = {message.pk: message for message in self.messages}
        losses = {pk: self._loss(rows.get(pk), message_id) for pk, message_id in self.stored.items()}
        return [f"Message {pk} ({self.stored[pk]}) {loss}." for pk, loss in losses.items() if loss]

    def _loss(self, message: OutboxMessage | None, message_id: str) -> str:
        if message is None:
            return "is gone from the outbox"
        if message.state == State.SENT and not self.accepted[message_id]:
            return "is called sent, but the relay never accepted it"
        if message.state not in (State.SENT, State.HELD):
            return f"is {message.state} in the end"
        return ""

    @cached_property
    def unmarked(self) -> list[str]:
        return [
            f"Message {message.pk} ({message.message_id}) was accepted {count} times, and nothing says so."
            for message in self.messages
            if (count := self.accepted[message.message_id]) > 1 and not message.possible_duplicate
        ]

    @property
    def duplicates(self) -> int:
        return sum(count - 1 for count in self.accepted.values() if count > 1)

    @property
    def duplicates_allowed(self) -> int:
        return self.threads * len(self.kills) + self.unanswered

    @property
    def most_copies(self) -> int:
        return max(self.accepted.values(), default=0)

    @property
    def complaints(self) -> list[str]:
        complaints = self.lost + self.unmarked
        if self.most_copies > UNKNOWN_ENDS_UNTIL_HELD:
            complaints.append(
                f"One message was accepted {self.most_copies} times; it should have been held after "
                f"{UNKNOWN_ENDS_UNTIL_HELD} ends in doubt."
            )
        if self.duplicates > self.duplicates_allowed:
            complaints.append(
                f"{self.duplicates} duplicates: one for each thread of a killed worker and one for each of the "
                f"{self.unanswered} connections cut before the reply would be {self.duplicates_allowed}."
            )
        return complaints

    def __str__(self) -> str:
        held = [message for message in self.messages if message.state == State.HELD]
        unaccepted = sum(not self.accepted[message.message_id] for message in held)
        accepted = sum(count > 0 for count in self.accepted.values())
        marked = sum(message.possible_duplicate for message in self.messages)
        rows = {f"Killed {label}": self.kills.count(label) for label in POINTS} | {
            "Messages stored": len(self.stored),
            "Accepted by the relay": accepted,
            "Kept on hold": f"{len(held)}, of them not accepted {unaccepted}",
            "Lost": len(self.lost),
            "Duplicates": f"{self.duplicates} of at most {self.duplicates_allowed}",
            "Most copies of one message": self.most_copies,
            "Marked as possible duplicates": marked,
            "Duplicates without a mark": len(self.unmarked),
            "Time to recover": self._time_to_recover(),
            "Total time": f"{self.seconds:.1f} s",
        }
        return "\n".join(f"{name:<38}{value}" for name, value in rows.items())

    def _time_to_recover(self) -> str:
        if not self.recoveries:
            return "nothing to recover"
        return f"{median(self.recoveries):.1f} s (median), {max(self.recoveries):.1f} s (longest)"
