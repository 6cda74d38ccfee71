"""accounts.templatetags.names: what a stranger calls themselves is no link in the mail to the administrators."""

import re
from html import unescape

import pytest
from django.utils.html import strip_tags, urlize

from accounts.models import User
from accounts.templatetags.names import HAIR_SPACE, unlinked
from flasky.mail import render_email

LINKS = [
    "evil.example",
    "https://evil.example/log-in?next=/",
    "HTTP://EVIL.EXAMPLE",
    "http:\\\\evil.example",
    "//evil.example",
    "www.evil.example",
    "www.evil.co.uk/reset",
    "ann@evil.example",
    "mailto:ann@evil.example",
    "tel:+4915112345678",
    "javascript:alert(1)",
    "ftp://evil.example",
    "xn--e1afmkfd.xn--p1ai",
    "пример.рф",
    "例え。テスト",
    "evil．example",
    "１２７.０.０.１",
    "127.0.0.1",
    "Click here: evil.example.",
    "evil.example:8000",
    "a.b.c.d.e.f",
    "\\\\evil\\share",
    "Ann<https://evil.example>",
    "Ann (evil.example)",
]
# As mail programs look for them: by scheme, by www, by what looks like a domain, by address.
LINKIFIERS = [
    re.compile(r"\b[a-z][a-z0-9+.-]*:(?://|\\\\)?[\w\[+]", re.I),
    re.compile(r"(?:^|[^\w])(?://|\\\\)\w"),
    re.compile(r"\bwww\d{0,3}[.．。]\w", re.I),
    re.compile(r"\w[.．。｡]\w"),
    re.compile(r"\w[@＠]\w"),
]
NAMES = ["Ann", "O'Brien", "J. R. R. Tolkien", "Anna-Lena", "王", "محمد", "Ann & Bob", "Dr. No"]


@pytest.fixture(autouse=True)
def no_link_is_ours(settings):
    settings.ALLOWED_HOSTS = []


def bodies(name):
    """Return what is read of the mail, as text and as HTML."""
    email = render_email("boss@example.com", "New User", "mail/new_user", user=User(username=name))
    [(html, _)] = email.alternatives
    return [email.body, unescape(strip_tags(html.split("</head>")[1]))]


@pytest.mark.parametrize("name", LINKS)
def test_no_part_of_a_name_becomes_a_link(name):
    assert any(linkifier.search(name) for linkifier in LINKIFIERS)
    for body in bodies(name):
        assert "<a " not in urlize(body)
        assert not [found for linkifier in LINKIFIERS if (found := linkifier.search(body))]


@pytest.mark.parametrize("name", LINKS)
def test_it_still_looks_like_what_was_typed(name):
    for body in bodies(name):
        assert name in body.replace(HAIR_SPACE, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_persons_name_is_left_as_it_is(name):
    assert unlinked(name) == name


def test_what_is_escaped_stays_escaped():
    email = render_email(
        "boss@example.com", "New User", "mail/new_user", user=User(username="<a href='//evil.example'>")
    )
    [(html, _)] = email.alternatives
    assert "<a" not in html
    assert "&lt;a href=" in html


def test_no_program_is_to_look_for_phone_numbers():
    email = render_email("boss@example.com", "New User", "mail/new_user", user=User(username="+49 151 12345678"))
    assert 'content="telephone=no, date=no' in email.alternatives[0][0]
