"""flasky.mail.wire.seven_bits: the same mail in ASCII."""

import email
import email.policy

import pytest
from django.core.mail import EmailMultiAlternatives
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.wire.compose import compose
from flasky.mail.wire.seven_bits import NotToBeAltered, has_long_line, in_seven_bits


def parts_of(content):
    """Return (type, name, bytes) of each part."""
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    return [
        (part.get_content_type(), part.get_filename(), part.get_payload(decode=True).rstrip(b"\r\n"))
        for part in parsed.walk()
        if not part.is_multipart()
    ]


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=1500)


@given(lines, lines, st.lists(st.tuples(st.sampled_from(["ä.txt", "b.csv"]), lines), max_size=2))
def test_every_part_says_the_same(text, html, attached):
    mail = EmailMultiAlternatives("Grüße", text, "a@example.com", ["b@example.com"])
    mail.attach_alternative(html, "text/html")
    for name, content in attached:
        mail.attach(name, content, "text/plain")
    wide = compose(mail)["content"]
    narrow = in_seven_bits(wide)
    assert narrow.isascii()
    assert all(len(line) <= 998 for line in narrow.split(b"\r\n"))
    assert [(kind, name, data.replace(b"\r\n", b"\n")) for kind, name, data in parts_of(narrow)] == [
        (kind, name, data.replace(b"\r\n", b"\n")) for kind, name, data in parts_of(wide)
    ]


near_the_limit = st.one_of(st.integers(0, 3), st.integers(996, 1001), st.integers(1990, 2010))


@given(st.lists(near_the_limit), near_the_limit)
def test_a_line_may_have_998_characters_and_its_end(lengths, rest):
    content = b"".join(b"x" * length + b"\r\n" for length in lengths) + b"x" * rest
    assert has_long_line(content) == any(len(line) > 999 for line in content.split(b"\n"))


def test_a_mail_in_ascii_is_not_touched():
    content = b"Subject: Hi\r\n\r\nHello\r\n"
    assert in_seven_bits(content) is content


@pytest.mark.parametrize(
    "encoding", [b"", b"Content-Transfer-Encoding: 8BIT\r\n", b"content-transfer-encoding:\r\n binary\r\n"]
)
def test_the_header_says_how_the_text_is_encoded_now_and_is_else_the_same(encoding):
    header = b"Subject: Hi\r\nContent-Type: text/plain; charset=utf-8\r\n"
    narrow = in_seven_bits(header + encoding + b"X-Last: 1\r\n\r\nA long text with Gr\xc3\xbc\xc3\x9fe = 1\r\n")
    assert narrow.endswith(b"\r\n\r\nA long text with Gr=C3=BC=C3=9Fe =3D 1\r\n")
    assert narrow.lower().count(b"content-transfer-encoding: quoted-printable\r\n") == 1
    assert narrow.lower().count(b"content-transfer-encoding") == 1
    assert narrow.startswith(header)


def test_a_line_that_is_too_long_is_encoded_too():
    narrow = in_seven_bits(b"Subject: Hi\r\n\r\n" + b"x" * 5000 + b"\r\n")
    assert parts_of(narrow)[0][2] == b"x" * 5000
    assert max(map(len, narrow.split(b"\r\n"))) < 80


def test_an_image_that_came_unencoded_is_whole():
    image = bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") * 3
    narrow = in_seven_bits(b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + image)
    assert parts_of(narrow)[0][2] == image


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: multipart/mixed\r\n\r\n\xc3\xbc\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n\xc3\xbc\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\n\xc3\xbc\r\n",
        b"Subject: \xc3\xbc\r\n\r\nHello\r\n",
        b"DKIM-Signature: v=1\r\n\r\n\xc3\xbc\r\n",
    ],
)
def test_what_has_no_other_form_is_refused(content):
    with pytest.raises(NotToBeAltered):
        in_seven_bits(content)
