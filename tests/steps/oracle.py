"""Bring a story to its end as a fresh deliverer does, and judge that end: nothing lost, nothing repeated in silence."""

from collections import Counter
from datetime import timedelta

from django.db.models import Sum
from django.db.models.functions import Now

from accounts.models import User
from flasky.mail.models import Attempt, ConnectionSlot, DailyTask, HourlyCount, OutboxMessage, State
from tests.steps.stage import DEAD, DEAD_PROCESS, OLD
from tests.steps.story import PERSON, REFUSED, VISITOR, Story

ROUNDS = 12  # until something counts as stuck
OUTCOMES = ("accepted", "partly", "refused", "postponed", "unknown")


def open_claims():
    """Return the tokens of those who have not ended their claims; who was dead before is not counted."""
    claimed = OutboxMessage.objects.filter(state=State.SENDING).exclude(claimed_by=DEAD_PROCESS)
    return set(claimed.values_list("claim_token", flat=True))


def end_the_story():
    """Do what is left: leases run out, pauses end, and a person releases what is held."""
    story = Story()
    for _ in range(ROUNDS):
        OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=Now() - timedelta(seconds=1))
        ConnectionSlot.objects.update(lease_expires_at=Now() - timedelta(seconds=1))
        OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=Now())
        OutboxMessage.objects.filter(state=State.HELD).release(PERSON)
        if not OutboxMessage.objects.filter(state__in=State.not_finished()).exists():
            break
        story.work(rounds=2)
    DailyTask.objects.update(begun_at=Now() - timedelta(days=2))
    story.prune()


class Oracle:
    """`promised` is what callers were told, `taken` what the relay has.

    `left` is the number of claims that their holders did not end, None if nobody knows.
    """

    def __init__(self, promised, taken, left, may_be_unknown=0):
        self.promised, self.left, self.may_be_unknown = promised, left, may_be_unknown
        self.copies = Counter((message_id, address) for message_id, address, _ in taken)
        self.contents = Counter({message_id: 0 for message_id, *_ in taken})
        for message_id, _ in {(message_id, digest) for message_id, _, digest in taken}:
            self.contents[message_id] += 1
        self.messages = list(OutboxMessage.objects.order_by("pk"))
        self.attempts = {message.pk: [*message.attempts.all()] for message in self.messages}

    def complaints(self):
        found = [*self.losses(), *self.pruning(), *self.strangers(), *self.marks(), *self.counts()]
        for message in self.messages:
            found += [f"{message.message_id} to {message.recipients}: {what}" for what in self.about(message)]
        return found

    def losses(self):
        there = {message.message_id for message in self.messages}
        for message_id in self.promised:
            if message_id != "visitor" and message_id not in there:
                yield f"{message_id} was stored and is lost"
        users = User.objects.filter(username=VISITOR).count()
        told = sum(message.kind == "mail/new_user" for message in self.messages)
        if users != told or users < ("visitor" in self.promised):
            yield f"{users} users and {told} mails about them"
        if DEAD not in there:
            yield "what a dead process held is lost"

    def pruning(self):
        if OutboxMessage.objects.filter(message_id=OLD).exists():
            yield "what is old was not pruned"

    def strangers(self):
        there = {message.message_id for message in self.messages}
        for message_id in self.contents.keys() - there:
            yield f"{message_id} was sent, and nothing of it is stored"
        for message_id, contents in self.contents.items():
            if contents != 1:
                yield f"{message_id} left in {contents} different forms"

    def about(self, message):
        attempts = [each for each in self.attempts[message.pk] if each.outcome != Attempt.Outcome.LATE]
        unknown = sum(each.outcome == Attempt.Outcome.UNKNOWN for each in attempts)
        state = State.FAILED if message.recipients == [REFUSED] else State.SENT
        if message.state != state:
            yield f"is {message.state}, not {state}"
        if message.claim_token or message.lease_expires_at or message.finished_at is None:
            yield "is not at its end"
        if set(message.outcomes) != set(message.recipients):
            yield f"is settled for {sorted(message.outcomes)} alone"
        if message.attempt_count != len(attempts):
            yield f"counts {message.attempt_count} attempts, and {len(attempts)} are noted"
        if message.possible_duplicate != bool(unknown):
            yield f"marked: {message.possible_duplicate}, with {unknown} attempts in doubt"
        for address in message.recipients:
            yield from self.about_recipient(message, address, unknown)

    def about_recipient(self, message, address, unknown):
        copies, is_refused = self.copies[message.message_id, address], address == REFUSED
        if message.outcomes.get(address, {}).get("accepted") == is_refused:
            yield f"another fate for {address}: {message.outcomes.get(address)}"
        if (copies == 0) != is_refused:
            yield f"{address} has {copies} copies"
        if copies > 1 + unknown:
            yield f"{address} has {copies} copies, and {unknown} attempts ended in doubt"

    def marks(self):
        """Whoever died leaves one doubt for each claim; who lives leaves none but where the relay left it in doubt."""
        unknown = [each for all_ in self.attempts.values() for each in all_ if each.outcome == Attempt.Outcome.UNKNOWN]
        of_dead = sum(not each.server for each in unknown)
        if self.left is not None and of_dead != self.left + 1:  # and the one who was dead before
            yield f"{of_dead} doubts about {self.left + 1} claims that nobody ended"
        if len(unknown) - of_dead > self.may_be_unknown:
            yield f"ended in doubt: {[each.reply for each in unknown if each.server]}"

    def counts(self):
        counted = HourlyCount.objects.aggregate(
            **{name: Sum(name) for name in (*OUTCOMES, "sent", "failed", "retries")}
        )
        tried = [[e for e in attempts if e.outcome != Attempt.Outcome.LATE] for attempts in self.attempts.values()]
        noted = Counter(attempt.outcome for attempts in tried for attempt in attempts)
        noted["sent"] = sum(message.state == State.SENT for message in self.messages)
        noted["failed"] = noted["refused"]
        noted["retries"] = sum(max(len(attempts) - 1, 0) for attempts in tried)
        for name, count in counted.items():
            if count != noted[name]:
                yield f"the metrics count {count} {name}, and there are {noted[name]}"
