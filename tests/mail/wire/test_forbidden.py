"""flasky.mail.wire.forbidden: what no mail can have is refused at the call, before any database has a word in it."""

from email.message import MIMEPart

import pytest
from django.core.mail import EmailMultiAlternatives

from flasky.mail.compat import attachable
from flasky.mail.wire.compose import compose

FORBIDDEN = ["\0", "\r", "\ud83c", "\udc80"]
PLACES = {
    "subject": lambda bad: {"subject": f"a{bad}b"},
    "body": lambda bad: {"body": f"a{bad}b"},
    "html": lambda bad: {"alternatives": [(f"<p>{bad}</p>", "text/html")]},
    "calendar": lambda bad: {"alternatives": [(f"BEGIN{bad}", "text/calendar")]},
    "sender": lambda bad: {"from_email": f"a{bad}b@example.com"},
    "sender's name": lambda bad: {"from_email": f"a{bad}b <a@example.com>"},
    "recipient": lambda bad: {"to": [f"a{bad}b@example.com"]},
    "recipient's domain": lambda bad: {"to": [f"a@exam{bad}ple.com"]},
    "name of a copied one": lambda bad: {"cc": [f"a{bad}b <a@example.com>"]},
    "hidden one": lambda bad: {"bcc": [f"a{bad}b@example.com"]},
    "answers": lambda bad: {"reply_to": [f"a{bad}b@example.com"]},
    "header": lambda bad: {"headers": {"X-Kind": f"a{bad}b"}},
    "header's name": lambda bad: {"headers": {f"X-{bad}": "a"}},
    "header Bcc": lambda bad: {"headers": {"Bcc": f"a{bad}b@example.com"}},
    "attachment's name": lambda bad: {"attachments": [(f"a{bad}b.pdf", b"%PDF", "application/pdf")]},
    "attachment's type": lambda bad: {"attachments": [("a.pdf", b"%PDF", f"application/p{bad}df")]},
    "attached text": lambda bad: {"attachments": [("a.txt", f"a{bad}b", "text/plain")]},
}


def an_email(**fields):
    fields = {"subject": "Hi", "body": "Hello", "from_email": "a@example.com", "to": ["b@example.com"], **fields}
    return EmailMultiAlternatives(**fields)


@pytest.mark.parametrize("others", [{}, {"attachments": [("notes.txt", "notes", "text/plain")]}])
@pytest.mark.parametrize(
    ("place", "bad"), [(place, bad) for place in PLACES for bad in FORBIDDEN if (place, bad) != ("attached text", "\r")]
)
def test_it_is_refused_wherever_it_stands(place, bad, others):
    with pytest.raises(ValueError, match=r"no mail can have|newline|header|address"):
        compose(an_email(**others | PLACES[place](bad)))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"body": "one\0two"}, r"The email's body has a NUL character \(in 'one\\x00two'\)"),
        ({"body": "one\r\ntwo\rthree"}, r"a carriage return without a line feed \(in .*two\\rthree'\)"),
        ({"body": "ü\ud83c"}, r"half a character, a lone surrogate \(in 'ü\\ud83c'\)"),
        ({"attachments": [("a\nb", b"", "a/b")]}, "name of an attachment can't contain newlines"),
    ],
)
def test_the_sentence_names_the_place_and_the_character(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        compose(an_email(**fields))


def test_a_part_made_by_hand_has_none_of_it_either():
    part = MIMEPart()
    part["Content-Type"] = "text/plain"
    part.set_payload("one\0two")
    with pytest.raises(ValueError, match="NUL"):
        compose(an_email(attachments=[attachable(part)]))


@pytest.mark.parametrize("content", [b"\0\r\n\r", b"\r"])
def test_bytes_may_be_any_bytes(content):
    compose(an_email(attachments=[("a.bin", content, "application/octet-stream")]))


def test_ends_of_lines_of_every_system_but_one_are_fine():
    content = compose(an_email(body="one\r\ntwo\nthree\r\n", attachments=[("a.csv", "a\r\nb\n", "text/csv")]))[
        "content"
    ]
    assert b"one\r\ntwo\r\nthree\r\n" in content
