"""Draw how long mails took from stored to accepted, hour by hour: the median, and above it the 95th percentile."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from flasky.mail.status.waits import Waited
from flasky.mail.status.written import number
from flasky.mail.web.charts import MAX_LABELS, MIN_HEIGHT

SHORTEST = 0.1  # s; the axis is logarithmic, for a mail takes a second or a day
MARKS = (
    (1, _("1 s")),
    (10, _("10 s")),
    (60, _("1 min")),
    (600, _("10 min")),
    (3600, _("1 h")),
    (86_400, _("1 d")),
    (864_000, _("10 d")),
)


@dataclass(frozen=True)
class WaitBar:
    x: float  # %
    median_height: int
    rest_height: int  # from the median to the 95th percentile
    label: str  # empty where it would touch another one
    full_label: str
    median: str  # s; nothing if nothing was accepted
    p95: str
    messages: str
    time: str  # its hour, as the list takes it

    @property
    def median_y(self) -> int:
        return WaitChart.baseline - self.median_height

    @property
    def rest_y(self) -> int:
        return self.median_y - self.rest_height


@dataclass(frozen=True)
class WaitChart:
    top: ClassVar[int] = 12  # px
    baseline: ClassVar[int] = 172
    height: ClassVar[int] = 200

    bars: list[WaitBar]
    slot: float  # % of the width for each bar
    grid: list[tuple[int, str]]  # y and label


def wait_chart(hours: Sequence[tuple[str, str, str]], waits: Sequence[Waited | None]) -> WaitChart | None:
    """Return the chart of these hours (label, full label, as the list takes it); None if nothing was accepted."""
    slowest = max((each.p95 for each in waits if each), default=None)
    if slowest is None:
        return None
    maximum = next((seconds for seconds, _ in MARKS if seconds >= slowest), MARKS[-1][0])
    labelled = ceil(len(hours) / MAX_LABELS)  # one label in so many
    return WaitChart(
        bars=[
            _bar(round(100 * index / len(hours), 3), hour, index % labelled == labelled // 2, waited, maximum)
            for index, (hour, waited) in enumerate(zip(hours, waits, strict=True))
        ],
        slot=round(100 / len(hours), 3),
        grid=[(WaitChart.baseline - _height(mark, maximum), str(label)) for mark, label in MARKS if mark <= maximum],
    )


def _bar(x: float, hour: tuple[str, str, str], is_labelled: bool, waited: Waited | None, maximum: float) -> WaitBar:
    label, full_label, time = hour
    shown = label if is_labelled else ""
    if waited is None:
        return WaitBar(x, 0, 0, shown, full_label, "", "", number(0), time)
    median = _height(waited.median, maximum)
    rest = _height(waited.p95, maximum) - median
    values = (number(waited.median, 1), number(waited.p95, 1), number(waited.messages))
    return WaitBar(x, median, rest, shown, full_label, *values, time)


def _height(seconds: float, maximum: float) -> int:
    share = log(max(seconds, SHORTEST) / SHORTEST) / log(maximum / SHORTEST)
    return max(MIN_HEIGHT, round(min(share, 1) * (WaitChart.baseline - WaitChart.top)))
