"""Draw the charts of the outbox: what was sent and failed as bars, what waits as a heat table."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil
from typing import ClassVar

from django.utils.translation import gettext as _

from flasky.mail.status.series import Ended
from flasky.mail.status.written import number

# Along the picture everything is in % of its width, so that its text keeps its size on a phone; upwards it is in px.

MIN_HEIGHT = 4  # px; so much of a bar is seen however small its share is
MAX_LABELS = 6  # so many fit side by side on a phone


@dataclass(frozen=True)
class Bar:
    x: float  # %
    sent_y: int
    sent_height: int
    failed_y: int
    failed_height: int
    label: str  # empty where it would touch another one
    full_label: str
    sent: str
    failed: str
    time: str  # its period, as the list takes it


@dataclass(frozen=True)
class BarChart:
    top: ClassVar[int] = 12  # px above the axis maximum: room for its label, and for a bar of MIN_HEIGHT on top
    baseline: ClassVar[int] = 172
    height: ClassVar[int] = 200

    bars: list[Bar]
    slot: float  # % of the width for each bar
    grid: list[tuple[int, str]]  # y and label
    sent: str
    failed: str
    summary: str


def bars(periods: Sequence[Ended], times: Sequence[str] = ()) -> BarChart | None:
    """Return the chart of these periods, the oldest first; None if nothing was sent and nothing failed.

    The times are the periods as the list takes them, so that each bar leads to its rows.
    """
    busiest = max(periods, key=lambda period: period[2] + period[3], default=("", "", 0, 0))
    full_label, sent, failed = busiest[1:]
    if not sent + failed:
        return None
    maximum = axis_maximum(sent + failed)
    all_sent = number(sum(period[2] for period in periods))
    all_failed = number(sum(period[3] for period in periods))
    return BarChart(
        bars=[_bar(index, periods, maximum, times[index] if times else "") for index in range(len(periods))],
        slot=round(100 / len(periods), 3),
        grid=_grid(maximum),
        sent=all_sent,
        failed=all_failed,
        summary=_(
            "%(all_sent)s sent and %(all_failed)s failed. The busiest period was %(period)s: %(sent)s sent, %(failed)s "
            "failed."
        )
        % {
            "all_sent": all_sent,
            "all_failed": all_failed,
            "period": full_label,
            "sent": number(sent),
            "failed": number(failed),
        },
    )


def axis_maximum(tallest: int) -> int:
    """Return the first of 1, 2, 5, 10, 20, 50, … that is not below the tallest bar."""
    power = 10 ** (len(str(tallest)) - 1)
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= tallest)


def _bar(index: int, periods: Sequence[Ended], maximum: int, time: str) -> Bar:
    label, full_label, sent, failed = periods[index]
    labelled = ceil(len(periods) / MAX_LABELS)  # one label in so many
    sent_height, failed_height = _height(sent, maximum), _height(failed, maximum)
    return Bar(
        x=round(100 * index / len(periods), 3),
        sent_y=BarChart.baseline - sent_height,
        sent_height=sent_height,
        failed_y=BarChart.baseline - sent_height - failed_height,
        failed_height=failed_height,
        label=label if index % labelled == labelled // 2 else "",
        full_label=full_label,
        sent=number(sent),
        failed=number(failed),
        time=time,
    )


def _height(count: int, maximum: int) -> int:
    return max(MIN_HEIGHT, round(count * (BarChart.baseline - BarChart.top) / maximum)) if count else 0


def _grid(maximum: int) -> list[tuple[int, str]]:
    steps = min(maximum, {"1": 5, "2": 4, "5": 5}[str(maximum)[0]])
    plot = BarChart.baseline - BarChart.top
    return [(BarChart.baseline - plot * step // steps, _short(maximum * step // steps)) for step in range(steps + 1)]


def _short(count: int) -> str:
    """Return a round number as the axis has room for it: 500, 1.5k, 2M."""
    if count < 1000:
        return str(count)
    if count < 10**6:
        return _("%(number)sk") % {"number": _rounded(count / 1000)}
    return _("%(number)sM") % {"number": _rounded(count / 10**6)}


def _rounded(count: float) -> str:
    return number(count, 0 if count == int(count) else 1)


AGES = (5, 10, 20, 40, 80, 160, 320, 640, 1280)  # min; the columns of Postfix's qshape
LEVELS = (1, 5, 25, 100, 500)  # the smallest count of each; fixed, so that a colour means the same every day
MAX_DOMAINS = 10


@dataclass(frozen=True)
class Column:
    x: float  # %
    label: str
    full_label: str


@dataclass(frozen=True)
class Cell:
    column: Column
    count: str
    level: int  # 0 for nothing, up to 5


@dataclass(frozen=True)
class Row:
    y: int
    name: str
    total: str
    cells: list[Cell]
    domain: str = ""  # as it is on the wire; nothing for a sum of several


@dataclass(frozen=True)
class HeatTable:
    slot: ClassVar[float] = round(100 / (len(AGES) + 2), 3)  # % of the width for each column; the first has the totals
    header: ClassVar[int] = 24  # px
    row_height: ClassVar[int] = 28

    columns: list[Column]
    rows: list[Row]  # the total first
    summary: str

    @property
    def height(self) -> int:
        return self.header + self.row_height * len(self.rows)


def heat(waiting: Iterable[tuple[list[str], datetime]], now: datetime) -> HeatTable | None:
    """Return how many messages wait, by recipient domain and age; None if none does.

    A message to several domains counts once for each, also in the total.
    """
    counts = _count(waiting, now)
    if not counts:
        return None
    by_size = sorted(counts, key=lambda domain: (-counts[domain].total(), domain))
    named = [(_("Total"), "", _sum(counts.values()))]
    named += [(readable(domain), domain, counts[domain]) for domain in by_size[:MAX_DOMAINS]]
    if others := by_size[MAX_DOMAINS:]:
        named.append((_("others"), "", _sum(counts[domain] for domain in others)))
    columns = _columns()
    return HeatTable(
        columns=columns,
        rows=[_row(index, name, domain, ages, columns) for index, (name, domain, ages) in enumerate(named)],
        summary=_("%(all)s waiting, %(most)s of them for %(domain)s.")
        % {"all": number(named[0][2].total()), "most": number(named[1][2].total()), "domain": named[1][0]},
    )


def _count(waiting: Iterable[tuple[list[str], datetime]], now: datetime) -> dict[str, Counter[int]]:
    """Return for each domain how many messages are in each column."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for recipients, since in waiting:
        age = bisect_right(AGES, (now - since).total_seconds() / 60)
        for domain in {address.rpartition("@")[2].lower() for address in recipients}:
            counts[domain][age] += 1
    return counts


def readable(domain: str) -> str:
    """Return an internationalised domain in its own letters; as it is on the wire if it cannot be decoded."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain


def _sum(counts: Iterable[Counter[int]]) -> Counter[int]:
    return sum(counts, Counter())


def _columns() -> list[Column]:
    span = _("%(from)s–%(to)s minutes")
    full_labels = [
        _("under %(number)s minutes") % {"number": number(AGES[0])},
        *(span % {"from": number(younger), "to": number(older)} for younger, older in pairwise(AGES)),
        _("%(number)s minutes and more") % {"number": number(AGES[-1])},
    ]
    labels = [*(f"<{age}" for age in AGES), f"{AGES[-1]}+"]
    return [
        Column(round((index + 1) * HeatTable.slot, 3), label, full_label)
        for index, (label, full_label) in enumerate(zip(labels, full_labels, strict=True))
    ]


def _row(index: int, name: str, domain: str, ages: Counter[int], columns: list[Column]) -> Row:
    return Row(
        y=HeatTable.header + HeatTable.row_height * index,
        name=name,
        total=number(ages.total()),
        cells=[Cell(column, number(ages[age]), bisect_right(LEVELS, ages[age])) for age, column in enumerate(columns)],
        domain=domain,
    )
