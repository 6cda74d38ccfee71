"""flasky.mail.web.wait_chart: how long mails took, hour by hour, and where each bar leads."""

import re
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.models import OutboxMessage, State
from flasky.mail.status.series import last_hours
from flasky.mail.status.waits import Waited, waited_per_hour
from flasky.mail.web.wait_chart import MARKS, WaitChart, wait_chart

HOURS = [("12:00", "3 Nov 2026, 12:00", "2026-11-03T12"), ("13:00", "3 Nov 2026, 13:00", "2026-11-03T13")]
PLOT = WaitChart.baseline - WaitChart.top


def sent(hour, *seconds):
    """Store messages in the hour that were accepted after so many seconds."""
    for each in seconds:
        email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
        email.send()
        chosen = OutboxMessage.objects.filter(pk=email.outbox_message.pk)
        end = hour + timedelta(seconds=each)
        chosen.update(state=State.SENT, created_at=hour, queued_at=hour, finished_at=end)


@pytest.mark.django_db
def test_an_hour_says_what_those_took_that_were_stored_in_it():
    hours = last_hours(timezone.now())
    sent(hours[3], *range(1, 22))
    sent(hours[4], 7)
    found = waited_per_hour(hours)
    assert (found[3], found[4]) == (Waited(21, 11.0, 20.0), Waited(1, 7.0, 7.0))
    assert [each for each in found if each] == found[3:5]


@pytest.mark.django_db
def test_what_waits_or_has_failed_says_nothing():
    hours = last_hours(timezone.now())
    sent(hours[3], 5)
    OutboxMessage.objects.update(state=State.FAILED)
    assert not any(waited_per_hour(hours))


@pytest.mark.parametrize("seconds", [0, 0.05, 1, 59, 86_400, 10**9])
def test_every_bar_is_seen_and_ends_below_the_top(seconds):
    chart = wait_chart(HOURS, [None, Waited(2, seconds, seconds)])
    empty, bar = chart.bars
    assert (empty.median_height, empty.median) == (0, "")
    assert 0 < bar.median_height + bar.rest_height <= PLOT


def test_the_axis_ends_with_the_first_mark_that_is_not_below_the_slowest():
    chart = wait_chart(HOURS, [Waited(9, 2, 40), None])
    assert [label for _, label in chart.grid] == ["1 s", "10 s", "1 min"]
    assert chart.grid[-1][0] == WaitChart.top
    assert chart.bars[0].rest_y > WaitChart.top
    assert len(wait_chart(HOURS, [Waited(9, 2, 10**8), None]).grid) == len(MARKS)


def test_where_nothing_was_accepted_is_no_chart():
    assert wait_chart(HOURS, [None, None]) is None


@pytest.mark.django_db
def test_a_bar_and_its_row_lead_to_the_mails_of_the_hour(viewer):
    hour = last_hours(timezone.now())[5]
    sent(hour, 2, 4)
    page = viewer.get("/admin/flasky_mail/outboxmessage/charts/").content.decode()
    address = f"?tab=sent&amp;time={timezone.localtime(hour):%Y-%m-%dT%H}"
    assert page.count(address) == 2
    assert re.search(r"half within 3(\.0)? s, 95% within 3\.9 s", page)
    listed = viewer.get(f"/admin/flasky_mail/outboxmessage/{address.replace('&amp;', '&')}").content.decode()
    assert listed.count('class="row-number"') == 2
