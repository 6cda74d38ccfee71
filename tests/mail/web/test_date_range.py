"""flasky.mail.web.date_range: moments, and the way from a year to an hour."""

from datetime import datetime, timedelta
from datetime import timezone as zones

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from flasky.mail.models import OutboxMessage
from flasky.mail.web.date_range import AGES, Period, narrower, parse_moment, wider
from flasky.mail.web.search import Listing

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 3, 12, tzinfo=zones.utc)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia"]
MOMENTS = st.datetimes(datetime(1001, 1, 1), datetime(2998, 12, 31), timezones=st.timezones())


def store(created_at=NOON):
    return OutboxMessage.objects.create(recipients=["bob@example.com"], content=b"x", created_at=created_at)


def found(**query):
    return [message.pk for message in Listing(query).page]


@given(MOMENTS)
def test_a_moment_with_its_zone_is_understood(moment):
    understood = parse_moment(moment.isoformat())
    assert understood == moment.astimezone(zones.utc)  # an hour that comes twice equals nothing
    assert understood.tzinfo is zones.utc  # some databases refuse the offsets of some zones


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-03", "2026-11-03T12:00:00", "0999-12-31T00:00:00+00:00", "3000-01-01T00:00:00+00:00"]
)
def test_anything_else_is_no_moment(text):
    assert parse_moment(text) is None


def test_what_was_stored_before_a_moment_does_not_include_it():
    old = store(created_at=NOON - timedelta(microseconds=1))
    store(created_at=NOON)
    assert found(before="2026-11-03T13:00:00+01:00") == [old.pk]


@pytest.mark.parametrize("age", AGES)
def test_an_age_reaches_back_from_now(age):
    young = store(created_at=timezone.now() - AGES[age] + timedelta(minutes=1))
    store(created_at=timezone.now() - AGES[age] - timedelta(minutes=1))
    assert found(time=age) == [young.pk]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2025-12-31T23", "2026-12-31T23"),
        ("2026-12", "2026-11-30T23", "2026-12-31T23"),
        ("2026-03", "2026-02-28T23", "2026-03-31T22"),
        ("2026-03-29", "2026-03-28T23", "2026-03-29T22"),  # 23 hours
        ("2026-10-25", "2026-10-24T22", "2026-10-25T23"),  # 25 hours
        ("2026-10-25T02", "2026-10-25T00", "2026-10-25T02"),  # this hour came twice
        ("2026-03-29T02", "2026-03-29T01", "2026-03-29T01"),  # this hour never came
        ("2028-02-29", "2028-02-28T23", "2028-02-29T23"),
        ("2026-11-03T23", "2026-11-03T22", "2026-11-03T23"),
    ],
)
def test_a_period_is_that_of_the_time_zone(text, start, end):
    with timezone.override("Europe/Berlin"):
        period = Period.parse(text, NOON)
    assert period.text == text
    assert [f"{moment.astimezone(zones.utc):%Y-%m-%dT%H}" for moment in (period.start, period.end)] == [start, end]


@pytest.mark.parametrize(
    "text", ["", "26", "2026-1", "2026-13", "2026-00", "2026-02-29", "2026-11-03T24", "2026-11-03 14", "0999", "2h"]
)
def test_what_is_no_period_is_all_the_time(text):
    assert Period.parse(text, NOON) == Period()


CLOCKS = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1))
FORMS = ["%Y", "%Y-%m", "%Y-%m-%dT%H", "%Y-%m-%d"]


@given(CLOCKS, st.sampled_from(FORMS), st.sampled_from(ZONES))
def test_a_period_is_the_last_of_the_wider_ones_and_lies_in_each(clock, form, zone):
    with timezone.override(zone):
        period = Period.parse(f"{clock:{form}}", NOON)
        texts = [text for text, _ in wider(period)]
        around = [Period.parse(text, NOON) for text in texts]
    assert texts == [f"{clock:%Y}", f"{clock:%Y-%m}", f"{clock:%Y-%m-%d}", f"{clock:%Y-%m-%dT%H}"][: len(texts)]
    assert texts[-1] == period.text
    assert all(each.start <= period.start <= period.end <= each.end for each in around)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(zones.utc)), st.sampled_from(ZONES))
def test_every_moment_lies_in_the_hour_that_the_clock_shows(moment, zone):
    with timezone.override(zone):
        for form in FORMS:
            period = Period.parse(f"{timezone.localtime(moment):{form}}", NOON)
            assert period.start <= moment < period.end


def test_the_wider_periods_have_labels():
    assert wider(Period.parse("2026-11-03T14", NOON)) == [
        ("2026", "2026"),
        ("2026-11", "Nov 2026"),
        ("2026-11-03", "03 Nov"),
        ("2026-11-03T14", "14:00"),
    ]


@pytest.mark.parametrize("text", ["", "1h", "nonsense"])
def test_nothing_is_wider_than_what_is_no_date(text):
    assert wider(Period.parse(text, NOON)) == []


def narrowed(text, *moments):
    for moment in moments:
        store(created_at=timezone.make_aware(datetime.fromisoformat(moment)))
    return narrower(Period.parse(text, NOON))


def test_narrower_are_the_years_from_the_first_to_the_last_message():
    years = [("2024", "2024"), ("2025", "2025"), ("2026", "2026")]
    assert narrowed("", "2024-05-05T12:00", "2026-01-01T00:00") == years


def test_narrower_are_the_months_of_a_year_and_the_days_of_a_month():
    moments = ["2025-11-30T23:00", "2026-01-31T10:00", "2026-03-01T00:00", "2026-03-03T09:00", "2027-01-01T00:00"]
    assert narrowed("2026", *moments) == [("2026-01", "Jan 2026"), ("2026-02", "Feb 2026"), ("2026-03", "Mar 2026")]
    days = [("2026-03-01", "01 Mar"), ("2026-03-02", "02 Mar"), ("2026-03-03", "03 Mar")]
    assert narrowed("2026-03") == days


def test_a_step_at_which_all_mail_is_in_one_period_is_skipped():
    assert narrowed("", "2026-11-03T14:05", "2026-11-03T15:00") == [
        ("2026-11-03T14", "14:00"),
        ("2026-11-03T15", "15:00"),
    ]


def test_nothing_is_narrower_than_an_hour():
    assert narrowed("2026-11-03", "2026-11-03T14:05", "2026-11-03T14:55") == [("2026-11-03T14", "14:00")]
    assert narrowed("2026-11-03T14") == []


@pytest.mark.parametrize("text", ["", "2026", "2025", "24h"])
def test_nothing_is_narrower_where_no_mail_is_or_for_an_age(text):
    assert narrowed(text, *(["2026-11-03T14:05"] if text in ("2025", "24h") else [])) == []


def test_narrower_periods_are_those_of_the_time_zone():
    with timezone.override("Asia/Kolkata"):
        for moment in ("2025-12-31T18:29", "2025-12-31T18:30"):
            store(created_at=datetime.fromisoformat(f"{moment}+00:00"))
        assert narrower(Period()) == [("2025", "2025"), ("2026", "2026")]


def test_an_hour_that_comes_twice_is_listed_once():
    for moment in ("2026-10-25T00:50+00:00", "2026-10-25T01:10+00:00"):  # 2:50 and 2:10 in Berlin
        store(created_at=datetime.fromisoformat(moment))
    with timezone.override("Europe/Berlin"):
        assert narrower(Period()) == [("2026-10-25T02", "02:00")]
        assert Listing({"time": "2026-10-25T02"}).count == 2


@rules(deadline=None, max_examples=10)
@given(st.lists(CLOCKS, min_size=1, max_size=2), st.sampled_from(ZONES))
def test_narrower_and_narrower_every_message_is_reached_by_few_links(clocks, zone):
    OutboxMessage.objects.all().delete()
    keys = {store(created_at=clock.replace(tzinfo=zones.utc)).pk for clock in clocks}
    with timezone.override(zone):
        assert set(reached(Period())) == keys


def reached(period):
    narrower_ones = narrower(period)
    assert len(narrower_ones) <= 51
    if not narrower_ones:
        return found(time=period.text)
    return [key for text, _ in narrower_ones for key in reached(Period.parse(text, NOON))]


def test_first_messages_of_long_ago_cost_two_statements(django_assert_num_queries):
    store(created_at=datetime(1970, 1, 1, tzinfo=zones.utc))
    store()
    with django_assert_num_queries(2):
        assert len(narrower(Period())) == 57
    with django_assert_num_queries(0):
        assert narrower(Period.parse("1h", NOON)) == []
