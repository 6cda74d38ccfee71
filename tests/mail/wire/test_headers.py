"""flasky.mail.wire.headers: ASCII, whatever the name is."""

import contextlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flasky.mail.compat import HAS_MODERN_PARTS
from flasky.mail.wire.headers import WIDE_DOMAIN, encoded, encoded_address, header_line

PIECES = ["a", "Ann", " ", "<", ">", "@", ".", '"', "=?", "x.de", "a@x.de", "ü", "b" * 63, ",", ";", ":", "(", "日本"]
awkward = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("X-Kind", "welcome", "X-Kind: welcome\r\n"),
        ("Subject", "Grüße", "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"),
        ("to", "Zoë <info@bücher.example>", "to: =?utf-8?q?Zo=C3=AB?= <info@xn--bcher-kva.example>\r\n"),
        ("X-Kind", "b " * 50, "X-Kind: " + "b " * 34 + "b\r\n " + "b " * 14 + "b \r\n"),
    ],
)
def test_a_header_is_encoded_and_folded(name, value, line):
    assert header_line(name, value) == line


def test_an_address_header_with_something_else_is_refused():
    with pytest.raises(ValueError, match="Invalid address"):
        encoded("Reply-To", "jürgen")


@pytest.mark.parametrize("address", ["Ann <>", "a@x.de, b@x.de", "", "<"])
def test_what_is_not_one_address_is_refused(address):
    with pytest.raises(ValueError, match="Invalid address"):
        encoded_address(address, "utf-8")


FOLDED = 40  # octets; Django folds a longer part before the @, if it must encode it, and refuses what it has made


def result_of(function, *arguments):
    try:
        return function(*arguments)
    except (AttributeError, IndexError, TypeError, ValueError):
        return "refused"


@pytest.mark.skipif(HAS_MODERN_PARTS, reason="Django 6 has these no more")
@given(awkward, st.sampled_from(["Subject", "To", "resent-cc", "Reply-To", "X-Kind"]))
def test_the_result_is_that_of_django_5(value, name):
    from django.core.mail.message import forbid_multi_line_headers, sanitize_address

    assume(not WIDE_DOMAIN.search(value))  # for which Django has an older rule
    assert result_of(encoded, name, value) == result_of(lambda: forbid_multi_line_headers(name, value, "utf-8")[1])
    if value.isascii() or len(value.encode()) < FOLDED:
        assert result_of(encoded_address, value, "utf-8") == result_of(sanitize_address, value, "utf-8")


@pytest.mark.parametrize("address", ["..@[ ", "8=。?..@[\t", "a@" + "(" * 1990, '"' * 20_000])
def test_what_the_parser_stumbles_over_is_refused_like_any_other(address):
    with pytest.raises(ValueError, match="Invalid address"):
        encoded_address(address, "utf-8")


def test_a_long_name_is_accepted():
    assert encoded_address(f"{'n' * 1000} <a@x.de>", "utf-8") == f"{'n' * 1000} <a@x.de>"


def test_brackets_in_brackets_in_a_header_are_refused():
    with pytest.raises(ValueError, match="Invalid address"):
        encoded("Reply-To", "ü" + "(" * 3000)


@given(
    st.lists(st.sampled_from([*PIECES, "[", "]", "。", "..", "\t", "\x0b", "\0", "?=", "X:"]), max_size=14).map("".join)
)
def test_whatever_is_typed_is_an_address_or_a_value_error(typed):
    with contextlib.suppress(ValueError):
        encoded_address(typed, "utf-8")
    with contextlib.suppress(ValueError):
        encoded("Reply-To", typed)
