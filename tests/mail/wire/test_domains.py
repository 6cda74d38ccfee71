"""flasky.mail.wire.domains: what a domain is to DNS, by IDNA 2008."""

import contextlib

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.wire.domains import in_ascii


@pytest.mark.parametrize(
    ("written", "ascii_form"),
    [
        ("example.com", "example.com"),
        ("Example.COM", "Example.COM"),
        ("faß.example", "xn--fa-hia.example"),
        ("FAẞ.example", "xn--fa-hia.example"),
        ("βόλος.example", "xn--nxasmm1c.example"),
        ("ΒΌΛΟΣ.example", "xn--nxasmq6b.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("日本語。example", "xn--wgv71a119e.example"),
        ("ｅｘａｍｐｌｅ.com", "example.com"),
        ("a.bücher.example", "a.xn--bcher-kva.example"),
    ],
)
def test_a_domain_is_written_as_registries_have_it(written, ascii_form):
    assert in_ascii(written) == ascii_form


@pytest.mark.parametrize(
    "written", ["☃.example", "ü\u200b.example", "ü ü.example", "ü_ü.example", f"{'ü' * 64}.example"]
)
def test_what_no_domain_can_be_is_refused(written):
    with pytest.raises(ValueError, match="domain"):
        in_ascii(written)


words = st.text(st.characters(categories=["Ll", "Lu", "Lo", "Mn", "Nd"], max_codepoint=0x9FFF), min_size=1, max_size=9)


@given(words.map("a{}a.example".format))
def test_it_is_what_the_package_idna_makes_of_it(written):
    """That package knows more rules, by which it refuses what no registry has."""
    try:
        expected = idna.encode(written, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return
    if not set(written) & set("\u03f2\u03f9"):  # two old forms of sigma
        with contextlib.suppress(ValueError):  # invisible, or younger than this Python's tables
            assert in_ascii(written).lower() == expected
