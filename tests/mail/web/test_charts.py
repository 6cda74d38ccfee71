"""flasky.mail.web.charts and its templates: every value is seen, and the table behind a picture says the same."""

import re
from collections import Counter
from datetime import datetime, timedelta
from datetime import timezone as zones
from html import unescape
from itertools import pairwise

import pytest
from django.template.loader import render_to_string
from hypothesis import example, given
from hypothesis import strategies as st

from flasky.mail.web.charts import AGES, LEVELS, MAX_DOMAINS, MAX_LABELS, BarChart, axis_maximum, bars, heat, readable

NOW = datetime(2026, 11, 3, 12, tzinfo=zones.utc)
HOSTILE = "</title><script>alert(1)</script>&\"'"

COUNTS = st.integers(0, 10**9)
PERIODS = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=31).map(
    lambda counts: [(f"{index}:00", f"day {index}", *both) for index, both in enumerate(counts)]
)
MAILS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([f"ann@{name}.example" for name in "abcdefghijklm"]), min_size=1, max_size=3),
        st.integers(-10, 2000).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    ),
    min_size=1,
)


def number(text):
    return int(text.replace(",", ""))


def rendered(template, **context):
    return render_to_string(f"flasky_mail/web/{template}.html", {"id": "hours", "title": "Per hour", **context})


def rows(html):
    """Return the cells of the table behind a picture, row by row."""
    table = re.search(r"<tbody>(.*)</tbody>", html, re.DOTALL)[1]
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    ]


def assert_is_a_picture_with_words(html, title, summary):
    names = re.search(r'<svg [^>]*role="(?:img|group)"[^>]* aria-labelledby="([\w-]+) ([\w-]+)"', html)
    assert f'<title id="{names[1]}">{title}</title>' in html
    assert f'<desc id="{names[2]}">{summary}</desc>' in html


# Bars


@pytest.mark.parametrize("periods", [[], [("12:00", "noon", 0, 0)]])
def test_without_anything_sent_or_failed_there_is_no_chart(periods):
    assert bars(periods) is None
    html = rendered("bars", chart=None)
    assert "Nothing was sent, and nothing failed." in html
    assert "<svg" not in html


@given(PERIODS)
@example([("1:00", "day 1", 999, 1)])
@example([("1:00", "day 1", 10**9, 1), ("2:00", "day 2", 0, 1)])
def test_every_count_is_seen_and_every_bar_is_inside_the_plot(periods):
    chart = bars(periods)
    for bar, (_, _, sent, failed) in zip(chart.bars if chart else [], periods, strict=bool(chart)):
        for count, height in ((sent, bar.sent_height), (failed, bar.failed_height)):
            assert height >= 4 if count else height == 0
        assert bar.sent_y + bar.sent_height == BarChart.baseline
        assert bar.failed_y + bar.failed_height == bar.sent_y
        assert bar.failed_y >= 4
        assert 0 <= bar.x < bar.x + chart.slot < 100.02


@given(PERIODS)
def test_more_is_never_lower(periods):
    if chart := bars(periods):
        heights = sorted((sent, bar.sent_height) for bar, (_, _, sent, _) in zip(chart.bars, periods, strict=True))
        assert heights == sorted(heights, key=lambda pair: pair[1])


def test_heights_are_in_proportion_to_the_axis():
    [half, whole] = bars([("", "half", 50, 0), ("", "whole", 60, 40)]).bars
    assert (half.sent_height, whole.sent_height, whole.failed_height) == (80, 96, 64)
    assert (whole.sent_y, whole.failed_y) == (76, 12)


@given(PERIODS)
def test_the_values_add_up(periods):
    if chart := bars(periods):
        assert (
            number(chart.sent) == sum(number(bar.sent) for bar in chart.bars) == sum(sent for _, _, sent, _ in periods)
        )
        assert number(chart.failed) == sum(number(bar.failed) for bar in chart.bars)
        assert [(number(bar.sent), number(bar.failed)) for bar in chart.bars] == [period[2:] for period in periods]


def test_the_summary_names_the_busiest_period():
    chart = bars([("1:00", "3 Nov, 1:00", 900, 0), ("2:00", "3 Nov, 2:00", 800, 400)])
    assert chart.summary == ("1,700 sent and 400 failed. The busiest period was 3 Nov, 2:00: 800 sent, 400 failed.")


@pytest.mark.parametrize(
    ("tallest", "labels"),
    [
        (1, ["0", "1"]),
        (2, ["0", "1", "2"]),
        (3, ["0", "1", "2", "3", "4", "5"]),
        (7, ["0", "2", "4", "6", "8", "10"]),
        (20, ["0", "5", "10", "15", "20"]),
        (1001, ["0", "500", "1k", "1.5k", "2k"]),
        (4_000_000, ["0", "1M", "2M", "3M", "4M", "5M"]),
    ],
)
def test_the_axis_has_round_numbers(tallest, labels):
    grid = bars([("", "", tallest, 0)]).grid
    assert [label for _, label in grid] == labels
    assert (grid[0][0], grid[-1][0]) == (BarChart.baseline, BarChart.top)


@given(st.integers(1, 10**12))
def test_the_axis_is_high_enough_and_at_most_two_and_a_half_times_as_high(tallest):
    assert tallest <= axis_maximum(tallest) <= 2.5 * tallest


@given(st.integers(1, 100))
def test_labels_are_few_and_evenly_spread(length):
    labelled = [bar.label != "" for bar in bars([("x", "x", 1, 1)] * length).bars]
    places = [index for index, is_labelled in enumerate(labelled) if is_labelled]
    assert 1 <= len(places) <= MAX_LABELS
    assert len({later - earlier for earlier, later in pairwise(places)}) <= 1


def test_the_bars_are_a_picture_with_a_table_that_says_the_same():
    periods = [("1:00", "3 Nov, 1:00", 1200, 0), ("2:00", "3 Nov, 2:00", 7, 3)]
    html = rendered("bars", chart=bars(periods))
    assert_is_a_picture_with_words(html, "Per hour", bars(periods).summary)
    assert rows(html) == [["3 Nov, 1:00", "1,200", "0"], ["3 Nov, 2:00", "7", "3"]]
    assert re.findall(r"<title>(.*?)</title>", html) == [
        "3 Nov, 1:00: 1,200 sent, 0 failed",
        "3 Nov, 2:00: 7 sent, 3 failed",
    ]
    assert (html.count('class="bar-sent" x='), html.count('class="bar-failed" x=')) == (2, 1)


# The heat table


def waiting(*minutes, to="bob@example.com"):
    return [([to], NOW - timedelta(minutes=minute)) for minute in minutes]


@pytest.mark.parametrize("mails", [[], [([], NOW)]])
def test_when_nothing_waits_there_is_no_table(mails):
    assert heat(mails, NOW) is None
    html = rendered("heat", chart=None)
    assert "Nothing waits." in html
    assert "<svg" not in html


@pytest.mark.parametrize(
    ("minutes", "column"),
    [(-5, "<5"), (0, "<5"), (4.99, "<5"), (5, "<10"), (9.99, "<10"), (639, "<640"), (1279, "<1280"), (1280, "1280+")],
)
def test_each_age_has_its_column(minutes, column):
    _, row = heat(waiting(minutes), NOW).rows
    assert [cell.column.label for cell in row.cells if cell.count != "0"] == [column]


def test_the_columns_say_in_words_what_they_are():
    labels = [column.full_label for column in heat(waiting(1), NOW).columns]
    assert labels[:2] == ["under 5 minutes", "5–10 minutes"]
    assert labels[-2:] == ["640–1,280 minutes", "1,280 minutes and more"]


@given(MAILS)
def test_the_totals_add_up(mails):
    total, *domains = heat(mails, NOW).rows
    for row in (total, *domains):
        assert number(row.total) == sum(number(cell.count) for cell in row.cells)
    for column, cell in enumerate(total.cells):
        assert number(cell.count) == sum(number(row.cells[column].count) for row in domains)
    assert number(total.total) == sum(len(set(recipients)) for recipients, _ in mails)


@given(MAILS)
def test_the_largest_domains_come_first_and_the_rest_together_last(mails):
    sizes = Counter(address.partition("@")[2] for recipients, _ in mails for address in set(recipients))
    _, *domains = heat(mails, NOW).rows
    named = [(row.name, number(row.total)) for row in domains if row.name != "others"]
    assert named == sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:MAX_DOMAINS]
    assert (domains[-1].name == "others") == (len(sizes) > MAX_DOMAINS)


@given(MAILS)
def test_everything_is_inside_the_picture(mails):
    table = heat(mails, NOW)
    places = [row.y for row in table.rows]
    assert places == sorted(set(places))
    assert (places[0], places[-1] + table.row_height) == (table.header, table.height)
    assert table.columns[0].x == table.slot  # beside the totals
    assert table.columns[-1].x + table.slot < 100.02
    assert len(table.columns) == len(AGES) + 1


def test_a_message_to_several_domains_counts_once_for_each():
    table = heat([(["ann@a.example", "bob@A.example", "carl@b.example"], NOW)], NOW)
    assert [(row.name, row.total) for row in table.rows] == [("Total", "2"), ("a.example", "1"), ("b.example", "1")]


@pytest.mark.parametrize("level", range(6))
def test_a_colour_means_the_same_number_every_day(level):
    first, last = (0, *LEVELS)[level], (*LEVELS, 10_000)[level] - 1
    for count in {first, last}:
        [_, row] = heat(waiting(*[1] * count, 100), NOW).rows
        assert row.cells[0].level == level


def test_the_summary_names_the_largest_domain():
    mails = waiting(*[1] * 1100) + waiting(1, to="ann@a.example")
    assert heat(mails, NOW).summary == "1,101 waiting, 1,100 of them for example.com."


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("xn--bcher-kva.example", "bücher.example"),
        ("example.com", "example.com"),
        ("bücher.example", "bücher.example"),
        ("xn--", "xn--"),
        ("xn--a-.example", "xn--a-.example"),
        ("x" * 64, "x" * 64),
        ("a..b", "a..b"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("", ""),
    ],
)
def test_a_domain_is_named_in_its_own_letters_if_it_can_be(domain, name):
    assert readable(domain) == name


@given(st.one_of(st.text(), st.from_regex(r"xn--[a-z0-9-]+", fullmatch=True)))
def test_no_domain_does_harm(domain):
    assert isinstance(readable(domain), str)
    assert heat(waiting(1, to=f"ann@{domain}"), NOW).rows[0].total == "1"


def test_the_heat_table_is_a_picture_with_a_table_that_says_the_same():
    chart = heat(waiting(*[1] * 1200, 7, 2000) + waiting(1, to="ann@a.example"), NOW)
    html = rendered("heat", chart=chart)
    assert_is_a_picture_with_words(html, "Per hour", chart.summary)
    zeros = ["0"] * 7
    assert rows(html) == [
        ["Total", "1,203", "1,201", "1", *zeros, "1"],
        ["example.com", "1,202", "1,200", "1", *zeros, "1"],
        ["a.example", "1", "1", "0", *zeros, "0"],
    ]
    seen = re.findall(r"<title>([\d,]+) waiting ([^<]*): ([^<]*)</title>", html)
    assert seen == [(cell.count, cell.column.full_label, row.name) for row in chart.rows for cell in row.cells]


@pytest.mark.parametrize(
    ("template", "chart"),
    [("heat", heat(waiting(1, to=f"ann@{HOSTILE}"), NOW)), ("bars", bars([(HOSTILE, HOSTILE, 1, 1)]))],
)
def test_hostile_names_are_only_text(template, chart):
    html = rendered(template, chart=chart)
    assert "<script>" not in html
    assert HOSTILE.lower() in rows(html)[-1][0].lower()
    assert "&lt;script&gt;" in re.search(r"<svg.*</svg>", html, re.DOTALL)[0]


def test_numbers_in_the_geometry_are_never_localized(settings):
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = "de", True
    for template, chart in (("bars", bars([("", "", 1, 1)] * 3)), ("heat", heat(waiting(1), NOW))):
        geometry = re.findall(r' (?:x|y|width|height)="([^"]*)"', rendered(template, chart=chart))
        assert geometry
        assert all(re.fullmatch(r"-?\d+(\.\d+)?%?", value) for value in geometry)
