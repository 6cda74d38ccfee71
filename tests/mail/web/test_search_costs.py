"""flasky.mail.web.search: what a look at a list costs, however many messages there are."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flasky.mail.models import State
from flasky.mail.web.rows import details_of
from flasky.mail.web.search import Listing, tabs
from flasky.mail.web.tabs import TABS
from tests.mail.web.stored import store, store_many

pytestmark = pytest.mark.django_db

LOOKS = [
    {},
    {"tab": "failed"},
    {"tab": "later"},
    {"tab": "duplicates"},
    {"q": "hi"},
    {"q": "17"},
    {"q": "<17@host.example>"},
    {"q": "bob@example.com"},
    {"q": "carl@example.com", "tab": "queued", "time": "2026", "before": "2026-11-04T00:00:00+00:00"},
    {"kind": "a", "source": "index"},
    {"cause": "a", "q": "hi"},
    {"time": "2026-11-03"},
]


def statements(query):
    """Look at a list and its tabs, and return the statements that this took."""
    store("bob@example.com", "carl@example.com")
    store_many(5)
    with CaptureQueriesContext(connection) as queries:
        listing = Listing(query)
        assert listing.page is not None
        assert len(details_of(listing.page)) == len(listing.page)
        assert listing.count <= listing.last_page * 50
        assert tabs(listing)
        assert listing.window_start is None or listing.period.text != "nonsense"
    return [query["sql"] for query in queries]


@pytest.mark.parametrize("query", LOOKS)
def test_no_look_reads_a_mails_content(query):
    selected = [sql.split(" FROM ")[0] for sql in statements(query)]
    unwanted = ("content", "provider_options", "outcomes", "actor")  # on SQLite the person is behind the content
    assert not [sql for sql in selected for name in unwanted if name in sql]
    assert any("subject" in sql for sql in selected) or not Listing(query).page


@pytest.mark.parametrize("query", LOOKS)
def test_no_look_counts_or_reads_without_a_limit(small, query):
    for sql in statements(query):
        keys = re.search(r"IN \(([\d, ]+)\)", sql)
        assert " LIMIT " in sql or (keys and len(keys[1].split(",")) <= 2), sql


@pytest.mark.parametrize(
    ("query", "most"),
    [({}, 3), ({"q": "hi"}, 4), ({"kind": "a", "tab": "failed"}, 3), ({"q": "bob@example.com"}, 6), ({"q": "1"}, 3)],
)
def test_a_look_costs_a_few_statements_and_one_for_each_tab(query, most):
    assert len(statements(query)) <= most + len(TABS)


@pytest.mark.parametrize("query", LOOKS)
def test_no_look_goes_through_the_table_without_an_index(query):
    if connection.vendor != "sqlite":
        pytest.skip("the other databases read a small table without an index")
    with connection.cursor() as cursor:
        for sql in statements(query):
            plan = "; ".join(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}"))
            assert not re.search(r"SCAN mail_\w+\b(?! USING)", plan), (sql, plan)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"cause": "x"}, "flasky_mail_cause"),
        ({"q": "<17.a@host.example>"}, "PRIMARY KEY"),
        ({"q": "17.a@host.example"}, "PRIMARY KEY"),
        ({"q": "bob@example.com"}, "PRIMARY KEY"),
    ],
)
def test_a_tab_with_a_million_messages_is_not_read_for_the_few_that_another_index_finds(query, index):
    if connection.vendor != "sqlite":
        pytest.skip("the other databases know how many rows an index finds")
    store(message_id="<17.a@host.example>", cause="x", state=State.SENT)
    newest = Listing(query | {"tab": "sent"}).matching().order_by("-created_at", "-pk")[:50]
    assert index in newest.explain()


@pytest.mark.parametrize(
    "query", [{"kind": "a"}, {"source": "index"}, {"kind": "a", "source": "index", "time": "2026"}]
)
def test_a_kind_and_a_source_are_found_without_reading_past_contents(query):
    if connection.vendor != "sqlite":
        pytest.skip("the other databases keep large contents elsewhere")
    plan = Listing(query).matching().order_by("-created_at", "-pk").values_list("pk").explain()
    assert "USING COVERING INDEX flasky_mail_stored" in plan
    assert "ORDER BY" not in plan
