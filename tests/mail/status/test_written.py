"""flasky.mail.status.written: how long ago something was."""

from datetime import datetime, timedelta
from datetime import timezone as zones

import pytest

from flasky.mail.status.written import distance

NOW = datetime(2026, 11, 27, 12, tzinfo=zones.utc)


@pytest.mark.parametrize(
    ("ago", "written"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=47), "1 d ago"),
        (timedelta(days=29), "29 d ago"),
        (timedelta(days=30), "28 Oct 2026"),
        (-timedelta(seconds=1), "in a moment"),
        (-timedelta(minutes=4, seconds=10), "in 4 min"),
        (-timedelta(days=2), "in 2 d"),
        (-timedelta(days=40), "6 Jan 2027"),
    ],
)
def test_a_distance_is_short_and_in_the_largest_unit(ago, written):
    assert distance(NOW - ago, NOW) == written
