"""A provider gets from the outbox what it gets without it: the payload of Anymail's test back end is the same."""

import re
from copy import copy
from datetime import date, datetime, timedelta, timezone
from email.charset import Charset
from email.utils import quote

import pytest
from anymail.message import AnymailMessage
from django.core.mail import EmailMultiAlternatives
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mail.wire.both_ways import directly, payload, through_the_outbox, without_ours
from tests.mail.wire.parts import a_file_part, an_inline_image, an_inline_text
from tests.mail.wire.shapes import REFUSED, SHAPES, SOON, TAKEN, alternative, anymail, attached, mail, with_set

pytestmark = pytest.mark.django_db

DEFAULTS = {  # ANYMAIL["SEND_DEFAULTS"]
    "tags": ["by default"],
    "metadata": {"by": "default", "order": 0},
    "esp_extra": {"nested": {"by": "default"}},
    "track_opens": True,
    "track_clicks": True,
    "template_id": "by default",
    "envelope_sender": "default@example.com",
    "merge_data": {"b@example.com": {"by": "default"}},
    "merge_global_data": {"by": "default"},
    "merge_metadata": {"b@example.com": {"by": "default"}},
    "from_email": "default@example.com",
    "subject": "By default",
    "extra_headers": {"X-By": "default"},
    "reply_to": ["default@example.com"],
}
OTHERWISE = {  # what else an email may have there
    "tags": [None, [], ["a"]],
    "metadata": [None, {}, {"order": 1}],
    "esp_extra": [None, {}, {"nested": {"a": 1}}],
    "track_opens": [None, False],
    "track_clicks": [None, False],
    "template_id": [None, "", 17],
    "envelope_sender": [None, "bounce@example.com"],
    "merge_data": [None, {}, {"b@example.com": {"a": 1}}],
    "merge_global_data": [None, {}, {"a": 1}],
    "merge_metadata": [None, {}, {"b@example.com": {"a": 1}}],
    "from_email": [None],
    "subject": [None, ""],
    "extra_headers": [{}, {"x-by": "hand"}],
    "reply_to": [None, [], ["r@example.com"]],
}


@pytest.fixture(autouse=True)
def anymails_test_backend(settings):
    settings.MAIL_TRANSPORT = "anymail.backends.test.EmailBackend"


def assert_same(build):
    given = {name.lower() for name in build().extra_headers}
    direct, through = payload(directly, build()), payload(through_the_outbox, build())
    if isinstance(direct, str):
        assert isinstance(through, str), f"taken, although it is refused without the outbox: {direct}"
        return
    assert isinstance(through, dict), through
    assert without_ours(through, given) == without_ours(direct, given)


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in (*REFUSED, *TAKEN)])
def test_a_provider_gets_what_it_gets_without_the_outbox(name):
    assert_same(SHAPES[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_refused_when_it_is_sent(name):
    with pytest.raises(ValueError, match=re.escape(REFUSED[name])):
        through_the_outbox(SHAPES[name]())


@pytest.mark.parametrize("name", TAKEN)
def test_what_anymail_alone_refuses_is_taken(name):
    assert isinstance(payload(directly, SHAPES[name]()), str)
    assert isinstance(payload(through_the_outbox, SHAPES[name]()), dict)


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_unset_gets_the_projects_default_and_none_gets_none(name, settings):
    settings.ANYMAIL = {"SEND_DEFAULTS": DEFAULTS}
    assert_same(lambda: anymail())
    for value in OTHERWISE[name]:
        assert_same(lambda value=value: anymail(with_set(**{"template_id": 17, name: copy(value)})))


@pytest.mark.parametrize(
    ("send_at", "due_at"),
    [
        (SOON, SOON),
        (SOON.astimezone(timezone(timedelta(hours=2))), SOON),
        (SOON.replace(tzinfo=None), SOON),  # by the project's clock, which is UTC
        (date(2099, 1, 2), datetime(2099, 1, 2, tzinfo=timezone.utc)),
        (4070908800, datetime(2099, 1, 1, tzinfo=timezone.utc)),
        (4070908800.5, datetime(2099, 1, 1, 0, 0, 0, 500000, tzinfo=timezone.utc)),
    ],
    ids=str,
)
def test_a_time_is_kept_by_the_outbox_and_not_told_to_the_provider(send_at, due_at, settings):
    settings.ANYMAIL = {"SEND_DEFAULTS": {"send_at": SOON + timedelta(days=1)}}  # told to the provider for the others
    email = anymail(send_at=send_at)
    assert "send_at" not in payload(through_the_outbox, email)
    assert email.outbox_message.next_attempt_at == due_at
    assert payload(directly, anymail(send_at=send_at))["send_at"] == due_at
    assert_same(lambda: anymail())


# --- Mails of the same parts, built at random ----------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=60)
LINES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=120)
NAMES = st.sampled_from(["", "Ann", "Smith, Ann", "Grün Ünal", 'Ann "A" Smith', "a.b", "日本"])
DOMAINS = st.sampled_from(["a@x.example", "B.c+d@X.example", "e@bücher.example"])
ADDRESSES = st.builds(lambda name, bare: f'"{quote(name)}" <{bare}>' if name else bare, NAMES, DOMAINS)
TYPES = ["text/html", "text/plain", "text/calendar; method=REQUEST", "text/x-amp-html", "text/markdown"]
BINARY = ["application/pdf", "image/png", "application/octet-stream"]
VALUES = st.sampled_from(["a", "<https://x.example/" + "y" * 90 + ">", "=?utf-8?q?x?=", "Grün", 1])
HEADERS = st.builds(
    dict.__or__,
    st.dictionaries(
        st.sampled_from(["X-Topic", "List-Unsubscribe", "x-small", "X-Long-" + "x" * 60]), VALUES, max_size=3
    ),
    st.dictionaries(st.sampled_from(["Reply-To", "Sender"]), ADDRESSES, max_size=1),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(LINES | st.integers(), inner, max_size=2),
    max_leaves=4,
)
FILES = st.builds(
    attached,
    st.sampled_from(["a.txt", "b.json", "Übersicht.csv", "c"]),
    TEXTS | st.sampled_from(["a\r\nb\r\n", "Grüße\n".encode(), "Grüße\n".encode("latin-1")]),
    st.sampled_from([None, "text/plain", "text/csv", "application/json", "text/calendar; method=REQUEST"]),
) | st.builds(attached, st.sampled_from(["a.pdf", "", None]), st.binary(max_size=40), st.sampled_from(BINARY))
PARTS = st.lists(
    FILES
    | st.builds(alternative, TEXTS, st.sampled_from(TYPES))
    | st.sampled_from(
        [an_inline_image, lambda email: email.attach(a_file_part()), lambda email: email.attach(an_inline_text())]
    ),
    max_size=4,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.none() | st.lists(LINES, max_size=2),
        "metadata": st.none() | st.dictionaries(LINES | st.integers(), JSON, max_size=2),
        "track_opens": st.none() | st.booleans(),
        "template_id": st.none() | st.integers() | LINES,
        "merge_global_data": st.none() | st.dictionaries(LINES, JSON, max_size=2),
        "merge_data": st.dictionaries(st.just("a@x.example"), st.dictionaries(LINES, JSON, max_size=2)),
        "esp_extra": st.none() | st.dictionaries(LINES, JSON, max_size=2),
        "content_subtype": st.sampled_from(["plain", "html", "markdown"]),
        "encoding": st.sampled_from(["utf-8", Charset("utf-8")]),
    },
)
CLASSES = st.sampled_from([AnymailMessage, EmailMultiAlternatives])
FIELDS = st.fixed_dictionaries(
    {"of_class": CLASSES, "subject": LINES, "body": TEXTS, "to": st.lists(ADDRESSES, min_size=1, max_size=3)},
    optional={"cc": st.lists(ADDRESSES, max_size=2), "bcc": st.lists(ADDRESSES, max_size=2), "headers": HEADERS},
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=FIELDS, options=OPTIONS, parts=PARTS)
def test_whatever_a_mail_is_built_of_a_provider_gets_the_same(fields, options, parts):
    assert_same(lambda: mail(*parts, **copy(fields), **copy(options)))
