"""flasky.mail.web.operators: what people type into the search beside words."""

import pytest
from django.utils import translation

from flasky.mail.models import State
from flasky.mail.web.operators import chosen, only_recipient
from flasky.mail.web.search import Listing
from tests.mail.web.stored import found, store

pytestmark = pytest.mark.django_db


def listed(words, **query):
    """Return what the words choose: the tab, the filters and the words that are left."""
    listing = Listing({"q": words, **query})
    return listing.tab.name, listing.kind, listing.source, listing.words


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        ("is:failed", ("failed", "", "", "")),
        ("Zoë is:failed", ("failed", "", "", "Zoë")),
        ("IS:Failed zoë", ("failed", "", "", "zoë")),
        ("is：failed", ("failed", "", "", "")),
        ('is:"due later"', ("later", "", "", "")),
        ("is:later kind:mail/new_user source:admin a b", ("later", "mail/new_user", "admin", "a b")),
    ],
)
def test_an_operator_is_the_tab_or_the_filter_that_it_names(words, choice):
    assert listed(words) == choice


def test_an_operator_comes_before_what_the_page_had_chosen():
    assert listed("is:failed kind:a", tab="queued", kind="b") == ("failed", "a", "", "")


def test_a_state_can_be_named_in_the_readers_language():
    with translation.override("zh-hans"):
        assert listed("is:失败")[0] == listed("is:failed")[0] == "failed"


@pytest.mark.parametrize("words", ["is:lost", "is:", "http://example.com", "Re: 12:30", '"is:failed"', "kind: a", ":"])
def test_what_is_no_operator_is_a_word(words):
    store(state=State.SENT)
    message = store(subject=f"About {words.strip(chr(34))} and more")
    assert listed(words) == ("", "", "", words)
    assert found(q=words) == [message.pk]


def test_to_and_subject_look_in_their_fields_only():
    to_ann, about_ann = store("ann@example.org"), store("bob@example.org", subject="Ann has joined")
    assert found(q="to:ann") == [to_ann.pk]
    assert found(q="subject:ANN") == [about_ann.pk]
    assert found(q="subject:ann to:bob") == [about_ann.pk]
    assert found(q="to:ann@example.org") == [to_ann.pk]
    assert found(q="to:ann@example.org is:failed") == []


def test_several_words_in_quotes_are_one():
    together, _ = store(subject="A new user has joined"), store(subject="A user is new")
    assert found(q='"new user"') == found(q='subject:"new user"') == [together.pk]


def test_a_kind_is_found_without_its_folder():
    message, _ = store(kind="mail/new_user"), store(kind="mail/not_new_user")
    assert found(q="kind:new_user") == found(q="kind:mail/new_user") == [message.pk]


def test_words_without_an_operator_stay_as_they_were_typed():
    assert chosen({}, "  two   spaces ")[1] == "  two   spaces "
    assert only_recipient("to:a b") == "to:a b"
