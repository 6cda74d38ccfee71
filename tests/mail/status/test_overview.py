"""flasky.mail.status.overview and its strip: the state of the outbox in a few values."""

import re
from datetime import datetime, timedelta
from datetime import timezone as zones
from html import unescape

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from flasky.mail.models import CALM, Attempt, HourlyCount, OutboxMessage, Process, Relay, RelayOutage, State
from flasky.mail.runtime import clock as the_clock
from flasky.mail.status import overview as overview_module
from flasky.mail.status.overview import age, overview
from flasky.mail.status.series import ended_per_day, ended_per_hour, waiting
from flasky.mail.web.links import admin_pages
from flasky.mail.web.listing import strip_context

pytestmark = pytest.mark.django_db

HOUR = datetime(2026, 11, 3, 12, tzinfo=zones.utc)
ACCEPTED, POSTPONED = Attempt.Outcome.ACCEPTED, Attempt.Outcome.POSTPONED


@pytest.fixture
def now(monkeypatch):
    """Stop the clock, the database's excepted."""
    moment = HOUR + timedelta(minutes=30)
    monkeypatch.setattr(the_clock, "now", lambda: moment)
    return moment


def ago(**span):
    return the_clock.now() - timedelta(**span)


def store(state=State.QUEUED, **fields):
    return OutboxMessage.objects.create(state=state, recipients=["bob@example.com"], content=b"x", **fields)


def attempt(outcome=ACCEPTED, seconds=0.0, **span):
    """Note an attempt that ended so long ago."""
    started_at = ago(**span) - timedelta(seconds=seconds)
    message = OutboxMessage.objects.first() or store(State.SENT)
    return Attempt(message=message, started_at=started_at, seconds=seconds, outcome=outcome)


def tried(*attempts):
    Attempt.objects.bulk_create(attempts)


def notices():
    """Return the sentences above the strip."""
    html = render_to_string("flasky_mail/web/strip.html", {"overview": overview()})
    return re.findall(r"<p[^>]*>(.*?)</p>", html)


def strip():
    """Return the text of the strip: one line for each of its boxes."""
    html = render_to_string("flasky_mail/web/strip.html", {"overview": overview()})
    boxes = re.findall(r"<div[^>]*>(.*?)</div>", html.partition("<dl")[2], re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]+>", "", box)).split()) for box in boxes]


# What waits


def test_the_oldest_waiting_message_is_named_with_its_age(now):
    store(State.SENT, created_at=ago(days=9))
    oldest = store(queued_at=ago(hours=2, minutes=50), created_at=ago(days=3))
    store(queued_at=ago(minutes=1), next_attempt_at=ago(minutes=1))
    store(queued_at=ago(days=-1), next_attempt_at=ago(days=-1), created_at=ago(days=9))
    state = overview()
    assert (state.oldest, state.oldest_age, state.oldest_is_overdue) == (oldest, "2 hours", False)
    assert strip()[0] == "Oldest waiting message 2 hours since 3 Nov 2026, 09:40:00 UTC"


@pytest.mark.parametrize(("late", "is_overdue"), [(299, False), (300, False), (301, True)])
def test_it_is_overdue_when_it_has_been_due_for_too_long(now, late, is_overdue):
    store(queued_at=ago(days=1), next_attempt_at=ago(seconds=late))
    assert overview().oldest_is_overdue == is_overdue
    assert ("overdue" in strip()[0]) == is_overdue


def test_what_waits_for_a_time_of_its_own_has_not_waited_yet(now):
    store(queued_at=ago(days=-1), next_attempt_at=ago(days=-1), created_at=ago(days=9))
    assert overview().oldest is None


def test_nothing_waits():
    store(State.SENDING)
    state = overview()
    assert (state.oldest, state.oldest_age, state.oldest_is_overdue) == (None, "", False)
    assert strip()[0] == "Oldest waiting message none nothing waits"


def test_the_link_of_the_oldest_leads_to_its_page():
    message = store()
    html = render_to_string("flasky_mail/web/strip.html", strip_context(admin_pages("admin")))
    assert f'href="/admin/flasky_mail/outboxmessage/{message.pk}/change/"' in html


# What was accepted


def test_per_minute_is_what_was_accepted_in_the_last_minute(now):
    partly, late = Attempt.Outcome.PARTLY, Attempt.Outcome.LATE
    tried(attempt(seconds=61), attempt(seconds=30), attempt(partly))
    tried(attempt(POSTPONED), attempt(late), attempt(minutes=1), attempt(minutes=2))
    assert overview().recent.per_minute == 3
    assert strip()[1] == "Sent per minute 3 the last one 0 s ago"


def test_the_last_accepted_mail_is_the_one_that_ended_last(now):
    tried(attempt(seconds=5, minutes=3), attempt(minutes=7), attempt(POSTPONED))
    state = overview()
    assert (state.recent.accepted_at, state.accepted_age) == (ago(minutes=3), "3 minutes")
    assert strip()[1] == "Sent per minute 0 the last one 3 minutes ago"


def test_before_the_first_mail_nothing_is_claimed():
    state = overview()
    assert (state.recent.has_tried, state.recent.per_minute, state.recent.accepted_at) == (False, 0, None)
    assert strip()[1] == "Sent per minute 0 none lately"


def test_when_the_newest_attempts_are_younger_than_a_minute_their_speed_counts(now, monkeypatch):
    monkeypatch.setattr(overview_module, "NEWEST", 4)
    tried(*[attempt() for _ in range(4)])
    Attempt.objects.update(started_at=ago(seconds=6))
    assert overview().recent.per_minute == 40
    Attempt.objects.filter(pk=Attempt.objects.first().pk).update(outcome=POSTPONED)
    assert overview().recent.per_minute == 30


def test_fewer_attempts_than_one_look_reads_are_counted_as_they_are(now):
    tried(attempt(), attempt())
    Attempt.objects.update(started_at=ago(seconds=6))
    assert overview().recent.per_minute == 2


def test_a_clock_that_runs_ahead_does_no_harm(now, monkeypatch):
    monkeypatch.setattr(overview_module, "NEWEST", 2)
    tried(attempt(minutes=-5), attempt(minutes=-5))
    state = overview()
    assert (state.recent.per_minute, state.accepted_age) == (2, "0 s")


def test_only_the_newest_attempts_are_read(now, monkeypatch):
    monkeypatch.setattr(overview_module, "NEWEST", 2)
    tried(attempt(), attempt(POSTPONED), attempt(POSTPONED))
    assert overview().recent.accepted_at is None


# What failed


def test_what_failed_in_the_last_24_hours_is_counted(now):
    for hours, slot, failed in ((0, 0, 1), (0, 1, 2), (23, 0, 4), (24, 0, 8), (100, 0, 16)):
        HourlyCount.objects.create(hour=HOUR - timedelta(hours=hours), slot=slot, sent=100, failed=failed)
    assert overview().failed == 7
    assert overview().failed == sum(failed for _, _, _, failed in ended_per_hour(now))
    assert strip()[2] == "Failed in 24 h 7 refused for good, or given up"


def test_nothing_failed():
    assert overview().failed == 0
    assert strip()[2] == "Failed in 24 h 0 none"


def test_the_failed_ones_are_one_click_away(now):
    HourlyCount.objects.create(hour=HOUR, slot=0, failed=1)
    html = render_to_string("flasky_mail/web/strip.html", strip_context(admin_pages("admin")))
    assert 'href="/admin/flasky_mail/outboxmessage/?tab=failed"' in html


# The relay


@pytest.fixture
def process():
    Process.objects.heartbeat("host 12", 4)


def test_a_relay_that_took_a_mail_is_reachable(now):
    tried(attempt(minutes=3))
    assert strip()[3] == "Relay reachable took a mail at 3 Nov 2026, 12:27:00 UTC"


def test_a_relay_that_took_none_is_not_called_reachable():
    tried(attempt(POSTPONED))
    assert strip()[3] == "Relay no mail taken it took none of the last that it was given"


def test_a_relay_that_was_not_used_yet_is_called_so():
    assert strip()[3] == "Relay not used yet no mail was given to it"


def test_a_relay_that_is_away_is_named_with_the_reason_and_the_next_probe(now, process):
    tried(attempt(minutes=3))
    RelayOutage.objects.create(server="a:25", reason="It was away.", since=ago(hours=1), next_probe_at=now)
    since = "since 3 Nov 2026, 11:30:00 UTC"
    assert strip()[3] == f"Relay takes no mail It was away. {since}, next probe at 12:30:00 UTC"


def test_a_relay_that_refuses_one_sender_is_not_away(now, settings):
    RelayOutage.objects.create(
        server="a:25", sender="shop@example.com", reason="Not as this sender.", since=ago(hours=1), next_probe_at=now
    )
    late = store()
    OutboxMessage.objects.filter(pk=late.pk).update(next_attempt_at=ago(hours=1))
    assert strip()[3].startswith(
        "Relay takes no mail of a sender only mails from shop@example.com wait Not as this sender."
    )
    assert "Nobody delivers" in overview().notice


def test_nobody_probes_a_relay_when_nobody_delivers(now):
    RelayOutage.objects.create(server="a:25", reason="It was away.", since=ago(hours=1), next_probe_at=now)
    assert strip()[3] == "Relay takes no mail It was away. since 3 Nov 2026, 11:30:00 UTC"


def test_each_relay_that_is_away_is_named_and_a_forgotten_outage_is_not(now):
    for server, minutes in (("a:25", 1), ("b:25", 2), ("c:25", 6)):
        RelayOutage.objects.create(server=server, reason=f"{server} was away.", next_probe_at=ago(minutes=minutes))
    assert [outage.server for outage in overview().outages] == ["a:25", "b:25"]
    assert re.findall(r"[abc]:25", strip()[3]) == ["a:25", "b:25"]


@pytest.mark.parametrize(("seconds", "is_over"), [(20, False), (61, True), (86_000, True)])
def test_fewer_connections_are_said_with_their_number_and_their_end(process, settings, seconds, is_over):
    settings.MAIL_MAX_CONNECTIONS = 20
    relay = Relay.objects.create(server="a:25", allowed=4, allowed_since=ago(seconds=seconds))
    grows_at = relay.allowed_since + timedelta(seconds=CALM)
    following = "with the next mail" if is_over else f"at {grows_at:%H:%M:%S} UTC"
    assert notices() == [
        "At most 4 connections to a:25 for now, not 20 (MAIL_MAX_CONNECTIONS), because it refused more; "
        f"while mail leaves, one more every 60 s, the next {following}."
    ]


def test_one_connection_is_singular(process, settings):
    settings.MAIL_MAX_CONNECTIONS = 2
    Relay.objects.create(server="a:25", allowed=1, allowed_since=the_clock.now())
    assert notices()[0].startswith("At most 1 connection to a:25")


@pytest.mark.parametrize(
    ("limit", "allowed", "hours"),
    [(4, 4, 0), (4, None, 0), (3, 4, 0), (0, 4, 0), (20, 4, 25)],
    ids=["as many", "none was refused", "a lower setting", "no limit", "a relay of the past"],
)
def test_nothing_is_said_of_connections_where_nothing_holds_mail_up(process, settings, limit, allowed, hours):
    settings.MAIL_MAX_CONNECTIONS = limit
    Relay.objects.create(server="a:25", allowed=allowed, allowed_since=ago(hours=hours))
    assert notices() == []


def test_times_are_those_of_the_time_zone(now):
    tried(attempt(minutes=3))
    store(queued_at=ago(hours=15))
    with timezone.override("Asia/Kolkata"):
        boxes = strip()
    assert "since 3 Nov 2026, 03:00:00 IST" in boxes[0]
    assert "took a mail at 3 Nov 2026, 17:57:00 IST" in boxes[3]


# Who delivers


def test_those_who_live_are_counted_with_their_threads(process):
    Process.objects.heartbeat("host 13", 1)
    state = overview()
    assert ([each.name for each in state.alive], state.threads) == (["host 12", "host 13"], 5)
    assert re.fullmatch(r"Who delivers 2 processes 5 threads, last sign of life \d+ s ago", strip()[4])


def test_one_of_each_is_singular():
    Process.objects.heartbeat("host 12", 1)
    assert strip()[4].startswith("Who delivers 1 process 1 thread, last")


def silent(name, **span):
    Process.objects.heartbeat(name, 4)
    Process.objects.filter(name=name).update(seen_at=Now() - timedelta(**span))


def test_one_that_is_silent_is_named_and_does_not_count(process):
    silent("host 13", minutes=3)
    state = overview()
    assert [each.name for each in state.missing] == ["host 13"]
    assert state.somebody_delivers
    assert re.search(r"1 process 4 threads, last sign of life \d+ s ago silent: host 13, since \d", strip()[4])


def test_when_all_are_silent_nobody_delivers():
    silent("host 12", minutes=3)
    silent("host 13", minutes=5)
    state = overview()
    assert ([each.name for each in state.missing], state.sign_age) == (["host 12", "host 13"], "3 minutes")
    assert not state.somebody_delivers
    assert "Who delivers nobody last sign of life 3 minutes ago silent: host 12" in strip()[4]


def test_of_many_silent_ones_the_last_three_are_named():
    for minutes in (7, 9, 5, 8, 6):
        silent(f"host {minutes}", minutes=minutes)
    assert re.findall(r"host \d", strip()[4]) == ["host 5", "host 6", "host 7"]
    assert strip()[4].endswith("and 2 more")


def test_without_any_sign_of_life_the_strip_says_so():
    assert overview().sign_age == ""
    assert strip()[4] == "Who delivers nobody no sign of life in the last day"


def test_inline_delivery_needs_nobody(settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    state = overview()
    assert (state.somebody_delivers, state.notice) == (True, "")
    assert strip()[4] == "Who delivers the request that sends MAIL_DISPATCHER is inline"


# What must be said


def test_that_nobody_delivers_is_said_on_top():
    html = render_to_string("flasky_mail/web/strip.html", {"overview": overview()})
    assert overview().notice.startswith("Nobody delivers")
    assert "<span>Nobody delivers" in html


def test_when_all_is_well_nothing_is_said_on_top(process):
    store()
    assert overview().notice == ""
    assert "overview-notice" not in render_to_string("flasky_mail/web/strip.html", {"overview": overview()})


def test_while_the_relay_is_away_mail_is_only_called_overdue(process):
    store(next_attempt_at=ago(minutes=6))
    RelayOutage.objects.note("a:25", "It was away.", the_clock.now())
    assert overview().notice == "1 message is overdue, the oldest by 6 minutes."


def test_who_may_not_look_sees_no_strip():
    assert render_to_string("flasky_mail/web/strip.html", {"overview": None}).strip() == ""


def test_hostile_reasons_and_names_are_only_text():
    hostile = "</dd><script>alert(1)</script>"
    RelayOutage.objects.note("a:25", hostile, the_clock.now())
    silent(hostile, minutes=3)
    html = render_to_string("flasky_mail/web/strip.html", {"overview": overview()})
    assert "<script>" not in html
    assert html.count("&lt;/dd&gt;&lt;script&gt;") == 3  # the reason in the banner too


# How long ago


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-100, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 minute"), (3599, "59 minutes"), (90_000, "1 day")],
)
def test_an_age_has_one_unit(seconds, words):
    assert age(HOUR - timedelta(seconds=seconds), HOUR) == words


# What ended, by hour and by day


def ended(sent=0, failed=0, slot=0, **span):
    HourlyCount.objects.create(hour=HOUR - timedelta(**span), slot=slot, sent=sent, failed=failed)


def test_the_last_24_hours_are_shown_the_oldest_first():
    ended(sent=1, failed=2)
    ended(sent=10, slot=1)
    ended(sent=5, hours=23)
    ended(sent=100, hours=24)
    hours = ended_per_hour(HOUR + timedelta(minutes=59))
    assert len(hours) == 24
    assert hours[0] == ("13:00", "2 Nov 2026, 13:00", 5, 0)
    assert hours[-1] == ("12:00", "3 Nov 2026, 12:00", 11, 2)
    assert {hour[2:] for hour in hours[1:-1]} == {(0, 0)}


def test_hours_have_the_labels_of_the_time_zone():
    with timezone.override("Asia/Kolkata"):
        assert ended_per_hour(HOUR)[-1][:2] == ("17:30", "3 Nov 2026, 17:30")


def test_an_hour_that_comes_twice_has_two_bars():
    after = datetime(2026, 10, 25, 1, tzinfo=zones.utc)
    for hours in (0, 1):
        HourlyCount.objects.create(hour=after - timedelta(hours=hours), slot=0, sent=hours + 1)
    with timezone.override("Europe/Berlin"):
        assert [hour[:1] + hour[2:] for hour in ended_per_hour(after)[-2:]] == [("02:00", 2, 0), ("02:00", 1, 0)]


def test_the_last_30_days_are_shown_the_oldest_first():
    ended(sent=1, failed=2)
    ended(sent=10, slot=1, hours=12)
    ended(sent=100, hours=13)
    ended(sent=5, days=29, hours=12)
    ended(sent=7, days=29, hours=13)
    days = ended_per_day(HOUR)
    assert len(days) == 30
    assert days[0] == ("5 Oct", "5 Oct 2026", 5, 0)
    assert days[-2:] == [("2 Nov", "2 Nov 2026", 100, 0), ("3 Nov", "3 Nov 2026", 11, 2)]


def test_the_oldest_day_is_whole():
    ended(sent=1, days=30, hours=1)  # 5 Oct, 00:00 in New Zealand
    ended(sent=2, days=30, hours=2)
    with timezone.override("Pacific/Auckland"):
        assert ended_per_day(HOUR - timedelta(hours=2))[0] == ("5 Oct", "5 Oct 2026", 1, 0)


def test_a_day_is_that_of_the_time_zone():
    ended(sent=1, hours=12)  # 3 Nov, 00:00 in UTC
    with timezone.override("America/New_York"):
        assert ended_per_day(HOUR)[-2:] == [("2 Nov", "2 Nov 2026", 1, 0), ("3 Nov", "3 Nov 2026", 0, 0)]


@rules(deadline=None, max_examples=40)
@given(
    st.datetimes(datetime(2018, 1, 1), datetime(2027, 1, 1)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe"]),
    st.sets(st.integers(0, 24 * 28), max_size=5),
)
def test_every_hour_of_four_weeks_is_in_one_day(clock, zone, hours_ago):
    now = clock.replace(tzinfo=zones.utc)
    HourlyCount.objects.all().delete()
    for hours in hours_ago:
        hour = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
        HourlyCount.objects.create(hour=hour, slot=0, sent=1, failed=2)
    with timezone.override(zone):
        days = ended_per_day(now)
        assert len({day for _, day, _, _ in days}) == 30
        assert days[-1][1] == f"{timezone.localtime(now).day} {timezone.localtime(now):%b %Y}"
    assert sum(sent for _, _, sent, _ in days) == len(hours_ago)
    assert sum(failed for _, _, _, failed in days) == 2 * len(hours_ago)


# What waits, for the heat table


def test_what_is_due_first_is_read_first_and_not_all_of_it(monkeypatch):
    moments = [ago(minutes=minutes) for minutes in (1, 3, 2)]
    for moment in moments:
        store(queued_at=moment, next_attempt_at=moment)
    store(State.SENT, next_attempt_at=ago(days=1))
    oldest_first = [(["bob@example.com"], moment) for moment in sorted(moments)]
    assert waiting() == oldest_first
    monkeypatch.setattr("flasky.mail.status.series.MOST_WAITING", 2)
    assert waiting() == oldest_first[:2]


# What it costs


def test_a_look_costs_a_few_statements_whatever_there_is(process):
    for number in range(3):
        store(next_attempt_at=ago(hours=1))
        tried(attempt())
        silent(f"host {number}", minutes=3)
    with CaptureQueriesContext(connection) as queries:
        overview()
    asks_the_time = connection.vendor != "sqlite"
    assert len(queries) <= 9 + asks_the_time
    assert not any("content" in query["sql"] or "outcomes" in query["sql"] for query in queries)
    assert sum("flasky_mail_process" in query["sql"] for query in queries) == 1


def test_what_waits_is_found_by_the_index():
    if connection.vendor != "sqlite":
        pytest.skip("the other databases read a small table without an index")
    with CaptureQueriesContext(connection) as queries:
        overview()
        waiting()
        ended_per_day(HOUR)
    with connection.cursor() as cursor:
        for query in queries:
            plan = "; ".join(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}"))
            small = "flasky_mail_relayoutage" in plan or "flasky_mail_process" in plan
            assert small or not re.search(r"SCAN (?!flasky_mail_attempt)|TEMP B-TREE FOR ORDER BY", plan), (query, plan)
