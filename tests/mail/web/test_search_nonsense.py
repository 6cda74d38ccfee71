"""flasky.mail.web.search: nothing that is asked of a list does harm."""

import pytest
from django.http import QueryDict
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from flasky.mail.web.date_range import narrower
from flasky.mail.web.search import Listing
from tests.mail.web.stored import store

pytestmark = pytest.mark.django_db

HOSTILE = [
    "\0",
    "a\0b",
    "%00",
    "\udcff",
    "9" * 18,
    "9" * 5000,
    "#" + "9" * 18,
    "-1",
    "٣",
    "²",
    "%",
    "_",
    "\\",
    "'\"",
    "x" * 100_000,
    "a " * 1000,
    "😀",
    "\u202e",
    "é@bücher.example",
    "a@" + "x" * 100 + ".example",
    "a@b.c\0",
    "a@-.-",
    "=?utf-8?q?a?=@b.example",
    "<a\0@b>",
    "<>",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-11-03T12:00:00+00:00:00.000001",
    "2026-11-03T12:00:00",
    "0000",
    "0001",
    "9999",
    "9999-12-31T23",
    "2999-12-31T23",
    "1000",
    "2026-02-30",
    "2026-11-03T24",
    "２０２６",
]


def look(query):
    listing = Listing(query)
    listing.matching().filter(pk=1).exists()
    return listing.page, listing.count, listing.window_start, narrower(listing.period), listing.query()


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_nonsense_does_no_harm(value):
    store("bob@example.com", "carl@example.com")
    for name in ("tab", "q", "kind", "source", "cause", "p"):
        assert look({name: value})
    for zone in ("Pacific/Apia", "Pacific/Honolulu"):
        with timezone.override(zone):
            assert look({"time": value})
            assert look({"before": value})


@rules(deadline=None, max_examples=25)
@given(st.dictionaries(st.sampled_from(["tab", "q", "kind", "source", "cause", "time", "before", "p"]), st.text()))
def test_no_text_does_harm(query):
    assert look(query)


@rules(deadline=None, max_examples=25)
@given(st.from_regex(r"[^<>@\s]+@[^<>@\s]+\.[^<>@\s]+", fullmatch=True))
def test_nothing_that_looks_like_an_address_does_harm(words):
    assert look({"q": words})


@pytest.mark.parametrize(
    "query", [b"q=%00%ff%fe", b"q=%ED%A0%80&p=%00", b"before=%FF&time=%C3", b"q=%F0%9F%98", b"&&=;="]
)
def test_broken_bytes_do_no_harm(query):
    assert look(QueryDict(query))


@pytest.mark.parametrize("page", ["0", "-1", "1.5", "x", "", "９", "100000", "9" * 5000])
def test_a_page_that_is_no_number_is_the_first(page):
    store()
    assert Listing({"p": page}).number == 1
