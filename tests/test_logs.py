"""flasky.logs: no mail address in the log."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flasky.logs import MaskingFormatter, mask_addresses


def logged(message, *args, error=None):
    """Return the line that the log would get."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("flasky", logging.INFO, __file__, 1, message, args, exc_info)
    return MaskingFormatter("{levelname} {name}: {message}", style="{").format(record)


def test_an_address_in_the_message_is_shortened():
    assert logged("Sent to ann@example.com.") == "INFO flasky: Sent to a…@example.com."


def test_an_address_among_the_arguments_is_shortened():
    assert logged("Sent to %s in %d s", "ann@example.com", 2) == "INFO flasky: Sent to a…@example.com in 2 s"
    assert logged("Sent to %s", ["ann@example.com", "bob@example.org"]).endswith("['…@example.com', '…@example.org']")


def raised(message, cause=None):
    """Return an error that has a traceback."""
    with pytest.raises(OSError) as caught:  # noqa: PT011
        raise OSError(message) from cause
    return caught.value


def test_an_address_in_a_traceback_is_shortened():
    line = logged("Refused", error=raised("550 <ann@example.com>: no such user"))
    assert "Traceback" in line
    assert "550 <a…@example.com>: no such user" in line
    assert "ann@" not in line


def test_an_address_in_the_cause_of_an_error_is_shortened():
    line = logged("Refused", error=raised("delivery failed", raised("ann@example.com")))
    assert "delivery failed" in line
    assert "a…@example.com" in line
    assert "ann@" not in line


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Ann <ann@example.com>", "Ann <a…@example.com>"),
        ('"Ann" <ann@example.com>', '"Ann" <a…@example.com>'),
        ("ann@example.com,bob@example.org", "a…@example.com,b…@example.org"),
        ("mailto:ann@example.com", "mailto:a…@example.com"),
        ("ann.lee+news@mail.example.co.uk", "a…@mail.example.co.uk"),
        ("änne@exämple.de", "ä…@exämple.de"),
        ("{'ann@example.com': (550, b'no')}", "{…@example.com': (550, b'no')}"),
        ("From: ann@example.com\nTo: bob@example.org", "From: a…@example.com\nTo: b…@example.org"),
        ("a@example.com", "a…@example.com"),
        ("root@localhost", "r…@localhost"),
    ],
)
def test_an_address_is_found_in_what_usually_surrounds_it(text, masked):
    assert mask_addresses(text) == masked


@pytest.mark.parametrize("text", ["", "no address here", "@", "a @ b", "@decorator", "ann at example.com", "100 %"])
def test_text_without_an_address_stays_as_it_is(text):
    assert mask_addresses(text) == text


def test_masking_twice_changes_no_more():
    assert mask_addresses(mask_addresses("ann@example.com")) == "a…@example.com"


def test_every_line_of_the_project_goes_through_the_mask():
    stderr = logging.getLogger().handlers
    assert any(isinstance(handler.formatter, MaskingFormatter) for handler in stderr)


@given(st.text(max_size=30), st.emails(), st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_full_address_survives(before, address, after):
    assert address not in logged("%s %s %s", before, address, after)
    assert address not in logged(f"to=<{address}>")


@pytest.mark.parametrize("address", ["ann'@example.com", '"ann lee"@example.com', "ann@[192.0.2.1]"])
def test_no_rare_address_survives(address):
    assert address not in logged("Sent to %s", address)


def test_masking_a_long_line_is_quick():
    """A regular expression that backtracks would need minutes for this."""
    for line in ("a" * 100_000, "a" * 100_000 + "@", "a@" * 50_000, "@" * 100_000):
        mask_addresses(line)
