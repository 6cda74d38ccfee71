"""flasky.mail.wire.places: contents as their place in the wire form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.wire.places import Wire, read_from, written_in

BODY = b"Subject: Hi\r\n\r\none\r\ntwo\r\nYWJj\r\none\r\n"


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("two", {"text": [5, 8, "lines"]}),
        ("one\ntwo\n", {"text": [0, 10, "lines"]}),
        ("one\r\ntwo\r\n", {"text": [0, 10, "as it is"]}),
        (b"abc", {"bytes": [10, 16, "base64"]}),
        ("three", {"text": "three"}),
        (b"three", {"bytes": "dGhyZWU="}),
        (None, {"text": None}),
    ],
)
def test_what_stands_there_is_kept_as_its_place_and_anything_else_itself(content, kept):
    wire = Wire(BODY)
    assert wire.content(content) == kept
    assert wire.read_content(kept) == content


def test_contents_are_looked_for_behind_each_other_and_then_before():
    """A mail with hundreds of attachments would else be read through for each."""
    wire = Wire(BODY)
    assert [wire.content(text)["text"][0] for text in ("two", "one", "two", "one")] == [5, 16, 5, 16]


def test_what_does_not_stand_there_is_counted():
    wire = Wire(BODY)
    wire.content("three")
    wire.content(b"abcd")
    assert wire.size_beside == len("three") + len("YWJjZA==")


@given(st.binary(max_size=500))
def test_each_way_can_be_read_back(raw):
    for way in ("base64", "lines", "as it is"):
        assert read_from(way, written_in(way, raw)) == raw
