"""Report what the drill has found out, in numbers and in a verdict."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from django.utils import translation
from django.utils.translation import gettext as _

from flasky.drill.crash_points import POINTS
from flasky.mail.models import UNKNOWN_ENDS_UNTIL_HELD, OutboxMessage, State
from flasky.mail.status.written import in_columns, number

COLUMN = 38  # characters


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
        losses = [self._loss(pk, message_id, rows.get(pk)) for pk, message_id in self.stored.items()]
        return [loss for loss in losses if loss]

    def _loss(self, pk: int, message_id: str, message: OutboxMessage | None) -> str:
        values = {"number": pk, "message_id": message_id}
        if message is None:
            return _("Message %(number)s (%(message_id)s) is gone from the outbox.") % values
        if message.state == State.SENT and not self.accepted[message_id]:
            sentence = _("Message %(number)s (%(message_id)s) is called sent, but the relay never accepted it.")
            return sentence % values
        if message.state not in (State.SENT, State.HELD):
            sentence = _("Message %(number)s (%(message_id)s) is %(state)s in the end.")
            return sentence % {**values, "state": State(message.state).label.lower()}
        return ""

    @cached_property
    def unmarked(self) -> list[str]:
        sentence = _("Message %(number)s (%(message_id)s) was accepted %(count)s times, and nothing says so.")
        return [
            sentence % {"number": message.pk, "message_id": message.message_id, "count": count}
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
            sentence = _(
                "One message was accepted %(count)s times; it should have been held after %(most)s ends in doubt."
            )
            complaints.append(sentence % {"count": self.most_copies, "most": UNKNOWN_ENDS_UNTIL_HELD})
        if self.duplicates > self.duplicates_allowed:
            sentence = _(
                "%(duplicates)s duplicates: one for each thread of a killed worker and one for each of the "
                "%(unanswered)s connections cut before the reply would be %(allowed)s."
            )
            allowed = {"unanswered": self.unanswered, "allowed": self.duplicates_allowed}
            complaints.append(sentence % {"duplicates": self.duplicates, **allowed})
        return complaints

    def __str__(self) -> str:
        held = [message for message in self.messages if message.state == State.HELD]
        unaccepted = sum(not self.accepted[message.message_id] for message in held)
        accepted = sum(count > 0 for count in self.accepted.values())
        marked = sum(message.possible_duplicate for message in self.messages)
        of_held = _("%(count)s, of them not accepted %(unaccepted)s") % {"count": len(held), "unaccepted": unaccepted}
        of_copies = {"count": self.duplicates, "most": self.duplicates_allowed}
        killed = {_("Killed %(point)s") % {"point": translation.gettext(label)}: label for label in POINTS}
        rows = {name: self.kills.count(label) for name, label in killed.items()} | {
            _("Messages stored"): len(self.stored),
            _("Accepted by the relay"): accepted,
            _("Kept on hold"): of_held,
            _("Lost"): len(self.lost),
            _("Duplicates"): _("%(count)s of at most %(most)s") % of_copies,
            _("Most copies of one message"): self.most_copies,
            _("Marked as possible duplicates"): marked,
            _("Duplicates without a mark"): len(self.unmarked),
            _("Time to recover"): self._time_to_recover(),
            _("Total time"): _("%(seconds)s s") % {"seconds": number(self.seconds, 1)},
        }
        return "\n".join(f"{in_columns(name, COLUMN)}{value}" for name, value in rows.items())

    def _time_to_recover(self) -> str:
        if not self.recoveries:
            return _("nothing to recover")
        middle, longest = median(self.recoveries), max(self.recoveries)
        sentence = _("%(median)s s (median), %(longest)s s (longest)")
        return sentence % {"median": number(middle, 1), "longest": number(longest, 1)}
