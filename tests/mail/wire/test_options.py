"""flasky.mail.wire.options: what an email has beyond Django's own attributes."""

import json
from datetime import datetime, timezone

import pytest
from anymail.backends import base
from anymail.message import AnymailMessage
from anymail.utils import UNSET
from django.core.mail import EmailMessage
from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy, override
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.wire.given import ATTRIBUTES
from flasky.mail.wire.options import PROVIDER_OPTIONS, has_template, plain, provider_options, restored


def an_email(**options):
    email = EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"])
    vars(email).update(options)
    return email


def test_all_that_anymail_reads_is_kept():
    """A new version of it may read more."""
    payload = base.BasePayload
    names = {name for name, *_ in payload.base_message_attrs + payload.anymail_message_attrs}
    assert names == {*ATTRIBUTES, *PROVIDER_OPTIONS, "send_at"} - {"content_subtype", "encoding"}
    assert set(vars(AnymailMessage("S", "B", "a@x.example", ["b@x.example"]))) >= {*PROVIDER_OPTIONS}


def test_an_option_that_is_no_json_is_refused_by_name():
    with pytest.raises(ValueError, match="metadata cannot be kept"):
        provider_options(an_email(metadata={"day": datetime(2026, 11, 22, tzinfo=timezone.utc)}))
    with pytest.raises(ValueError, match=r"metadata cannot be kept in the outbox: the key \(1, 2\) is neither"):
        provider_options(an_email(metadata={(1, 2): "x"}))
    with pytest.raises(ValueError, match="merge_data cannot be kept"):
        provider_options(an_email(merge_data={"ratio": float("nan")}))


def test_what_anymail_calls_unset_is_left_out_wherever_it_stands():
    email = an_email(tags=["a", UNSET], metadata={"id": 7, "campaign": UNSET, "note": None, "inner": {"a": UNSET}})
    email.template_id = email.merge_data = UNSET
    assert provider_options(email) == {"tags": ["a"], "metadata": {"id": 7, "note": None, "inner": {}}}


def test_a_time_is_not_told_to_a_provider_and_takes_back_a_default():
    assert provider_options(an_email(send_at=0)) == provider_options(an_email(send_at=None)) == {"send_at": None}


def test_none_is_kept_as_it_takes_back_a_default_of_the_project():
    assert provider_options(an_email(tags=None, track_opens=False)) == {"tags": None, "track_opens": False}


class Newsletter(EmailMessage):
    tags = ("newsletter",)


def test_an_option_of_the_emails_class_is_kept_as_anymail_would_read_it():
    assert provider_options(Newsletter("Hi", "Hello", "a@example.com", ["b@example.com"])) == {"tags": ["newsletter"]}


def test_lazy_texts_are_read_in_the_language_of_the_moment():
    email = an_email(tags=[gettext_lazy("Yes")], template_id=gettext_lazy("Yes"))
    email.metadata = {gettext_lazy("No"): {"answer": gettext_lazy("Yes")}}
    with override("de"):
        options = provider_options(email)
    assert options == {"tags": ["Ja"], "metadata": {"Nein": {"answer": "Ja"}}, "template_id": "Ja"}


@pytest.mark.parametrize(
    "defaults",
    [
        {"ANYMAIL": {"SEND_DEFAULTS": {"template_id": "welcome"}}},
        {"ANYMAIL": {"MAILGUN_SEND_DEFAULTS": {"template_id": "welcome"}}},
        {"ANYMAIL_SEND_DEFAULTS": {"template_id": "welcome"}},
    ],
)
def test_a_template_may_be_the_default_of_the_project_and_none_takes_it_back(settings, defaults):
    assert has_template(an_email(template_id="order"))
    assert not has_template(an_email())
    for name, value in defaults.items():
        setattr(settings, name, value)
    assert has_template(an_email(template_id=UNSET))
    assert not has_template(an_email(template_id=None))


def test_tags_may_come_in_any_kind_of_collection():
    assert provider_options(an_email(tags={"a"})) == provider_options(an_email(tags=("a",))) == {"tags": ["a"]}


KEYS = st.just("(pairs)") | st.text(max_size=3) | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(VALUES.filter(lambda value: "\\u0000" not in json.dumps(plain_keys(value))))
def test_any_value_comes_back_with_keys_of_the_kind_it_had(value):
    again = restored(json.loads(json.dumps(plain(value))))
    assert repr(again) == repr(value)


def plain_keys(value):
    """Return all texts and keys of the value in a list that JSON has."""
    if isinstance(value, dict):
        return [*map(str, value), *map(plain_keys, value.values())]
    return [*map(plain_keys, value)] if isinstance(value, list) else value


def test_a_key_that_is_lazy_is_a_text():
    assert plain({lazystr("a"): 1, 1: 2}) == {"(pairs)": [("a", 1), (1, 2)]}
