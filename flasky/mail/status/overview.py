"""The outbox at a glance: each figure by one query that stays quick with a million messages."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from django.utils.timesince import timesince

from flasky.mail.models import Attempt, Deliverer, OutboxMessage, RelayTrouble, State, Tally
from flasky.mail.status.explanations import delivers_inline, delivery_notice, fewer_connections, stuck
from flasky.mail.web.charts import Period

MOST_WAITING = 10_000  # messages in the picture of what waits
NEWEST = 1000  # attempts that one look reads
MINUTE = timedelta(seconds=60)
HOURS, DAYS = 24, 30


@dataclass(frozen=True)
class Vitals:
    """What the strip shows, as it was at one moment."""

    now: datetime
    oldest: OutboxMessage | None  # of those that wait
    recent: "Recent"
    failed: int
    troubles: list[RelayTrouble]
    fewer_connections: list[str]  # sentences
    alive: list[Deliverer]
    silent: list[Deliverer]
    is_inline: bool
    notice: str  # that nobody delivers, or that mail is overdue
    stuck: list[str]  # sentences

    @property
    def oldest_age(self) -> str:
        return age(self.oldest.queued_at, self.now) if self.oldest else ""

    @property
    def oldest_is_overdue(self) -> bool:
        limit = self.now - timedelta(seconds=settings.MAIL_OVERDUE)
        return self.oldest is not None and self.oldest.next_attempt_at < limit

    @property
    def accepted_age(self) -> str:
        return age(self.recent.accepted_at, self.now) if self.recent.accepted_at else ""

    @property
    def threads(self) -> int:
        return sum(deliverer.threads for deliverer in self.alive)

    @property
    def somebody_delivers(self) -> bool:
        return self.is_inline or bool(self.alive)

    @property
    def sign_age(self) -> str:
        """How long ago the last sign of life was: of one that is alive, or else of one that was."""
        signs = [deliverer.seen_at for deliverer in self.alive or self.silent]
        return age(max(signs), self.now) if signs else ""


@dataclass(frozen=True)
class Recent:
    """What the newest attempts say."""

    has_tried: bool
    per_minute: int  # messages that were accepted
    accepted_at: datetime | None  # the last one


def vitals() -> Vitals:
    troubles, now = list(RelayTrouble.objects.current()), timezone.now()
    alive = list(Deliverer.objects.alive().order_by("name"))
    return Vitals(
        now=now,
        oldest=_oldest(),
        recent=_recent(now),
        failed=_failed_since(now - timedelta(hours=HOURS)),
        troubles=troubles,
        fewer_connections=fewer_connections(),
        alive=alive,
        silent=list(Deliverer.objects.silent().order_by("-seen_at")),
        is_inline=delivers_inline(),
        notice=delivery_notice(relay_is_away=bool(troubles)),
        stuck=[] if troubles else stuck(alive),
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
    return Tally.objects.filter(hour__gt=moment).aggregate(failed=Sum("failed"))["failed"] or 0


def age(moment: datetime, now: datetime) -> str:
    """Return how long ago it was, in the largest unit; nothing is ago less than nothing, whatever the clocks say."""
    seconds = max(0, int((now - moment).total_seconds()))
    return f"{seconds} s" if seconds < 60 else timesince(moment, now, depth=1).replace("\xa0", " ")


def ended_per_hour(now: datetime) -> list[Period]:
    """Return what was sent and failed in each of the last 24 hours, the oldest first."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    # By the clock of the tallies: local hours are skipped and repeated twice a year, and may begin at half past.
    hours = [this_hour - timedelta(hours=hours) for hours in range(HOURS - 1, -1, -1)]
    ended = _ended_since(hours[0])
    return [(*_labels(hour), *ended.get(hour, (0, 0))) for hour in hours]


def _labels(hour: datetime) -> tuple[str, str]:
    local = timezone.localtime(hour)
    return f"{local:%H:%M}", f"{_day(local)}, {local:%H:%M}"


def ended_per_day(now: datetime) -> list[Period]:
    """Return what was sent and failed on each of the last 30 days of the current time zone, the oldest first."""
    today = timezone.localtime(now).date()
    days = [today - timedelta(days=days) for days in range(DAYS - 1, -1, -1)]
    sent, failed = Counter[date](), Counter[date]()
    for hour, ended in _ended_since(timezone.make_aware(datetime.combine(days[0], time.min))).items():
        day = timezone.localtime(hour).date()
        sent[day] += ended[0]
        failed[day] += ended[1]
    return [(f"{day.day} {day:%b}", _day(day), sent[day], failed[day]) for day in days]


def _ended_since(moment: datetime) -> dict[datetime, tuple[int, int]]:
    """Return how many were sent and failed in each hour in which any were."""
    hours = Tally.objects.filter(hour__gte=moment).values_list("hour")
    return {hour: (sent, failed) for hour, sent, failed in hours.annotate(Sum("sent"), Sum("failed"))}


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def waiting() -> list[tuple[list[str], datetime]]:
    """Return the recipients of what waits and since when, the first MOST_WAITING to be due at most, for charts.heat."""
    queued = OutboxMessage.objects.filter(state=State.QUEUED).order_by("next_attempt_at")
    return list(queued.values_list("recipients", "queued_at")[:MOST_WAITING])
