"""flasky.mail.web.search: which messages a list shows."""

from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from flasky.mail.models import FurtherRecipient, OutboxMessage, State
from flasky.mail.web.date_range import AGES
from flasky.mail.web.search import (
    MOST_COUNTED,
    PER_PAGE,
    SPAN,
    TO_ADDRESS,
    Listing,
    counted,
    limited,
    tabs,
)
from flasky.mail.web.tabs import TABS
from tests.mail.web.stored import NOON, found, store, store_many

pytestmark = pytest.mark.django_db

# What a list shows


def test_the_newest_message_comes_first():
    old, new = store(created_at=NOON), store(created_at=NOON + timedelta(seconds=1))
    older = store(created_at=NOON - timedelta(days=1))
    assert found() == [new.pk, old.pk, older.pk]


def test_of_messages_of_the_same_moment_the_last_one_comes_first():
    first, second = store(), store()
    assert found() == [second.pk, first.pk]


@pytest.mark.parametrize("state", State)
def test_each_state_has_its_tab(state):
    messages = {each: store(state=each).pk for each in State}
    assert found(tab=state.value) == [messages[state]]


def test_what_is_due_later_has_a_tab():
    store(next_attempt_at=timezone.now() - timedelta(minutes=1))
    store(next_attempt_at=timezone.now() + timedelta(minutes=1), state=State.SENT)
    later = store(next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert found(tab="later") == [later.pk]


def test_possible_duplicates_have_a_tab():
    store()
    chosen = store(possible_duplicate=True)
    assert found(tab="duplicates") == [chosen.pk]


@pytest.mark.parametrize("filtered", ["kind", "source", "cause"])
def test_a_filter_takes_what_is_exactly_so(filtered):
    store(**{filtered: "mail/newuser"})
    chosen = store(**{filtered: "mail/new_user"})
    assert found(**{filtered: "mail/new_user"}) == [chosen.pk]


def test_filters_tab_and_words_narrow_together():
    rights = {"kind": "a", "source": "index", "state": State.FAILED, "subject": "Welcome"}
    chosen = store(**rights)
    for name, wrong in {"kind": "b", "source": "admin", "state": State.SENT, "subject": "Farewell"}.items():
        store(**rights | {name: wrong})
    assert found(kind="a", source="index", tab="failed", q="welcome", time="2026-11-03") == [chosen.pk]


# Words


@pytest.mark.parametrize("words", ["HELLO", "world hello", "carl", "carl@exam", "hello example.com"])
def test_each_word_is_looked_for_in_subject_and_recipients_whatever_its_case(words):
    store(subject="Hello, World! But not for him")
    chosen = store("bob@example.com", "carl@example.com", subject="Hello, World!")
    assert chosen.pk in found(q=words)
    assert found(q=f"{words} missing") == []


@pytest.mark.parametrize("words", ["%", "_", "100%", "a_b", "\\", "'", '"; DROP TABLE'])
def test_a_word_means_its_own_letters_and_no_pattern(words):
    store(subject="axb 100")
    chosen = store(subject=f"It is {words}")
    assert found(q=words.replace('"; ', "")) == [chosen.pk]


@pytest.mark.parametrize("sign", ["", "#"])
def test_a_number_is_a_message(sign):
    chosen = store()
    store(subject=f"About {chosen.pk}")
    assert found(q=f"{sign}{chosen.pk}") == [chosen.pk]
    assert found(q=f"{sign}{chosen.pk}", tab="failed") == []


@pytest.mark.parametrize("form", ["<{}>", "{}", " <{}> "])
def test_a_message_id_is_a_message_with_its_brackets_or_without(form):
    chosen, _ = store(message_id="<17.a@host.example>"), store(message_id="<17.b@host.example>")
    assert found(q=form.format("17.a@host.example")) == [chosen.pk]


@pytest.mark.parametrize("address", ["carl@example.com", "Carl@EXAMPLE.com", " carl@example.com "])
def test_an_address_finds_what_goes_to_it_in_any_place(address):
    store("carla@example.com", subject="carl@example.com")
    messages = [store("Carl@example.com"), store("bob@example.com", "carl@example.com"), store("carl@example.com")]
    assert found(q=address) == [message.pk for message in reversed(messages)]


def test_an_internationalised_address_is_found_as_people_write_it_and_as_it_is_on_the_wire():
    chosen = store("ann@bücher.example")
    assert found(q="ann@Bücher.example") == found(q="ann@xn--bcher-kva.example") == [chosen.pk]


def test_a_request_finds_the_mails_that_it_has_stored():
    chosen, _ = store(request_id="7f3c-2a.B_"), store(request_id="7f3c-2a.B_c")
    assert found(q="request:7f3c-2a.B_") == [chosen.pk]
    assert found(q="request:7f3c") == []


def test_words_that_only_look_like_a_request_are_words():
    chosen = store(subject="Your request:ä is here", request_id="7f3c")
    assert found(q="request:ä") == found(q="request: here") == [chosen.pk]
    assert found(q="request:") == [chosen.pk]


def test_an_address_that_nothing_goes_to_finds_nothing():
    store(subject="nobody@example.com")
    assert found(q="nobody@example.com") == []


def test_what_an_address_finds_is_narrowed_too():
    store()
    chosen = store(state=State.FAILED, kind="a")
    assert found(q="bob@example.com", tab="failed", kind="a") == [chosen.pk]


# Pages and windows


def test_pages_follow_each_other(small):
    keys = store_many(5)
    assert [found(p=page) for page in "123"] == [keys[:2], keys[2:4], keys[4:]]
    assert (Listing({}).count, Listing({}).last_page) == (5, 3)


def test_a_page_beyond_the_last_is_the_last(small):
    keys = store_many(3)
    assert (Listing({"p": "9"}).number, found(p="9")) == (2, keys[2:])
    assert Listing({"p": "9", "q": "missing"}).number == 1


def test_no_page_is_further_back_than_what_is_counted(small):
    store_many(8)
    listing = Listing({"p": "99999"})
    assert (listing.count, listing.number, len(listing.page)) == (6, 3, 2)


@pytest.mark.parametrize("query", [{"q": "hi"}, {"kind": "a"}, {"source": "index"}, {"q": "bob@example.com"}])
def test_window_by_window_every_match_is_on_one_page(small, query):
    keys, seen, windows = store_many(11, kind="a", source="index"), [], 0
    while windows < 5:
        listing, windows = Listing(query), windows + 1
        for page in range(1, listing.last_page + 1):
            seen += found(**query, p=str(page))
        if listing.window_start is None:
            break
        query = dict(parse_qsl(listing.query(before=listing.window_start.isoformat())))
    assert seen == keys
    assert windows == 3


def test_a_window_without_a_match_leads_to_the_one_before(small):
    old = store(subject="Rare", created_at=NOON - timedelta(days=1))
    keys = store_many(4)
    listing = Listing({"q": "rare"})
    assert (listing.page, listing.window_start) == ([], OutboxMessage.objects.get(pk=keys[-1]).created_at)
    assert found(q="rare", before=listing.window_start.isoformat()) == [old.pk]


def test_a_window_has_messages_of_its_tab_and_time_only(small):
    failed = store(state=State.FAILED, created_at=NOON - timedelta(days=400))
    store_many(5)
    assert found(q="hi", tab="failed") == found(q="hi", time="2025") == [failed.pk]


@pytest.mark.parametrize("query", [{"time": "2025"}, {"before": "2026-01-01T00:00:00+00:00"}])
def test_of_an_address_that_gets_every_mail_old_ones_are_found_too(small, query):
    recipients = ["boss@example.com", "deputy@example.com"]
    old = store(*recipients, created_at=NOON - timedelta(days=400))
    for _ in range(5):
        store(*recipients)
    for address in recipients:
        assert found(q=address, **query) == [old.pk]


@pytest.mark.parametrize("query", [{}, {"tab": "failed"}, {"time": "2026"}, {"cause": "x", "q": "hi"}, {"q": "1"}])
def test_what_an_index_finds_needs_no_window(small, query):
    store_many(5, state=State.FAILED, cause="x")
    assert Listing(query).window_start is None


def test_a_common_cause_is_searched_to_the_end(small):
    keys = store_many(5, cause="x")
    assert (Listing({"cause": "x", "q": "hi"}).count, found(cause="x", q="hi", p="3")) == (5, keys[4:])


def test_what_matches_is_what_the_pages_show(small):
    store_many(6)
    for query in ({}, {"q": "hi"}, {"q": "bob@example.com"}):
        pages = [key for page in "123" for key in found(**query, p=page)]
        assert set(Listing(query).matching().values_list("pk", flat=True)) == set(pages)


def test_every_match_of_a_window_has_its_page():
    assert TO_ADDRESS <= SPAN <= MOST_COUNTED
    assert MOST_COUNTED % PER_PAGE == 0


# The query string


TEXTS = st.text(st.characters(codec="utf-8"), max_size=250)
MOMENTS = st.datetimes(datetime(1001, 1, 1), datetime(2998, 12, 31), timezones=st.timezones())
TIMES = st.sampled_from([*AGES, "", "2026", "2026-11", "2026-11-03", "2026-11-03T14", "2026-13", "soon"])


@given(
    st.sampled_from([*(tab.name for tab in TABS), "nonsense"]),
    st.fixed_dictionaries(dict.fromkeys(("q", "kind", "source", "cause"), TEXTS)),
    TIMES,
    st.one_of(st.just(""), TEXTS, MOMENTS.map(datetime.isoformat)),
)
@example("", {"q": "x" * 199 + " y"}, "", "")
def test_the_query_string_leads_to_the_same_list(tab, texts, time, before):
    first = Listing({"tab": tab, **texts, "time": time, "before": before})
    again = Listing(dict(parse_qsl(first.query(), strict_parsing=bool(first.query()))))
    for name in ("tab", "words", "kind", "source", "cause", "before", "is_narrowed"):
        assert getattr(again, name) == getattr(first, name)
    assert again.period.text == first.period.text
    assert again.query() == first.query()


def test_the_query_string_says_only_what_is_chosen():
    assert Listing({"p": "1", "tab": "nonsense", "time": "soon"}).query() == ""
    assert Listing({"q": "a b", "tab": "failed"}).query(p=2, tab="") == "q=a+b&p=2"


def test_a_list_is_narrowed_by_anything_but_its_tab():
    assert not Listing({"tab": "failed", "p": "2"}).is_narrowed
    queries = [{"q": "x"}, {"kind": "x"}, {"source": "x"}, {"cause": "x"}, {"time": "1h"}, {"before": NOON.isoformat()}]
    assert all(Listing(query).is_narrowed for query in queries)


# The tabs


def test_the_tabs_count_their_messages_whatever_the_filters_are():
    store(state=State.FAILED, possible_duplicate=True)
    store(next_attempt_at=timezone.now() + timedelta(days=1))
    counts = {tab["label"]: tab["count"] for tab in tabs(Listing({"q": "missing"}))}
    expected = {"All": "2", "Queued": "1", "Due later": "1", "Failed": "1", "Possible duplicates": "1"}
    assert {label: count for label, count in counts.items() if count != "0"} == expected


def test_the_tabs_keep_the_filters_but_not_the_window_and_the_page():
    listing = Listing({"tab": "sent", "q": "x", "time": "7d", "before": NOON.isoformat(), "p": "2"})
    [current] = [tab for tab in tabs(listing) if tab["is_current"]]
    assert (current["name"], current["query"]) == ("sent", "tab=sent&q=x&time=7d")


def test_a_count_that_is_cut_off_says_so(small):
    store_many(5)
    assert (counted(OutboxMessage.objects.all()), limited(5)) == (5, "5")
    store_many(2)
    assert (counted(OutboxMessage.objects.all()), limited(6)) == (6, "6+")
    assert tabs(Listing({}))[0]["count"] == "6+"


def test_large_counts_are_readable():
    assert (limited(9999), limited(10_000)) == ("9,999", "10,000+")


def test_the_time_of_a_message_is_stored_with_each_further_recipient():
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com", "carl@example.com"])
    email.send()
    further = FurtherRecipient.objects.select_related("message").get()
    assert further.created_at == further.message.created_at == email.outbox_message.created_at
