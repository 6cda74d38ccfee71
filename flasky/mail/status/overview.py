"""Read the outbox at a glance: each value by one query that stays quick with a million messages."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Sum

from flasky.mail.conf import conf
from flasky.mail.dispatchers import delivers_inline
from flasky.mail.models import Attempt, HourlyCount, OutboxMessage, Process, RelayOutage, State
from flasky.mail.runtime import clock
from flasky.mail.status.alerts import delivery_notice, fewer_connections, over_budget
from flasky.mail.status.clocks import ADVICE, wrong_clocks
from flasky.mail.status.explanations import RESTART, stuck
from flasky.mail.status.written import age, joined

NEWEST = 1000  # attempts that one look reads
MINUTE = timedelta(seconds=60)
HOURS, DAYS = 24, 30


@dataclass(frozen=True)
class Overview:
    """What the strip shows, as it was at one moment."""

    now: datetime
    oldest: OutboxMessage | None  # of those that wait
    recent: "Recent"
    failed: int
    outages: list[RelayOutage]
    fewer_connections: list[str]  # sentences
    over_budget: str
    alive: list[Process]
    missing: list[Process]
    is_inline: bool
    notice: str  # that nobody delivers, or that mail is overdue
    stuck: list[str]  # sentences
    wrong_clocks: list[str]  # sentences

    @property
    def oldest_age(self) -> str:
        return age(self.oldest.queued_at, self.now) if self.oldest else ""

    @property
    def oldest_is_overdue(self) -> bool:
        limit = self.now - timedelta(seconds=conf.MAIL_OVERDUE)
        return self.oldest is not None and self.oldest.next_attempt_at < limit

    @property
    def accepted_age(self) -> str:
        return age(self.recent.accepted_at, self.now) if self.recent.accepted_at else ""

    @property
    def is_wrong(self) -> bool:
        return bool(self.notice or self.stuck or self.outages or not self.somebody_delivers)

    @property
    def threads(self) -> int:
        return sum(process.threads for process in self.alive)

    @property
    def somebody_delivers(self) -> bool:
        return self.is_inline or bool(self.alive)

    @property
    def sign_age(self) -> str:
        """How long ago the last sign of life was: of one that is alive, or else of one that was."""
        signs = [process.seen_at for process in self.alive or self.missing]
        return age(max(signs), self.now) if signs else ""


@dataclass(frozen=True)
class Recent:
    """What the newest attempts say."""

    has_tried: bool
    per_minute: int  # messages that were accepted
    accepted_at: datetime | None  # the last one


def overview() -> Overview:
    clock.measure()
    outages, now = list(RelayOutage.objects.current()), clock.now()
    is_away = not all(outage.sender for outage in outages)  # or only some senders' mails wait
    alive, missing = Process.objects.alive_and_missing()
    is_inline = delivers_inline()
    return Overview(
        now=now,
        oldest=_oldest(),
        recent=_recent(now),
        failed=_failed_since(now - timedelta(hours=HOURS)),
        outages=outages,
        fewer_connections=fewer_connections(),
        over_budget=over_budget(),
        alive=alive,
        missing=missing,
        is_inline=is_inline,
        notice=delivery_notice(relay_is_away=is_away, somebody_delivers=is_inline or bool(alive)),
        stuck=[] if is_away else [joined(sentence, RESTART) for sentence in stuck(alive)],
        wrong_clocks=[joined(sentence, ADVICE) for sentence in wrong_clocks(alive)],
    )


def _oldest() -> OutboxMessage | None:
    queued = OutboxMessage.objects.filter(state=State.QUEUED)
    found = queued.waits_longest()
    return queued.filter(pk=found[1]).only("queued_at", "next_attempt_at").first() if found else None


def _recent(now: datetime) -> Recent:
    newest = Attempt.objects.order_by("-pk").values_list("started_at", "seconds", "outcome")[:NEWEST]
    ends = [(started_at + timedelta(seconds=seconds), outcome) for started_at, seconds, outcome in newest]
    accepted = [end for end, outcome in ends if outcome in (Attempt.Outcome.ACCEPTED, Attempt.Outcome.PARTLY)]
    span = now - min((end for end, _ in ends), default=now)
    per_minute = sum(end > now - MINUTE for end in accepted)
    if len(ends) == NEWEST and timedelta(0) < span < MINUTE:  # they do not reach back a minute
        per_minute = round(len(accepted) * (MINUTE / span))
    return Recent(bool(ends), per_minute, max(accepted, default=None))


def _failed_since(moment: datetime) -> int:
    return HourlyCount.objects.filter(hour__gt=moment).aggregate(failed=Sum("failed"))["failed"] or 0
