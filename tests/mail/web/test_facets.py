"""flasky.mail.web.facets: the kinds and sources to choose from, with their counts."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flasky.mail.models import State
from flasky.mail.web import facets
from flasky.mail.web.facets import kinds_and_sources
from flasky.mail.web.search import Listing
from tests.mail.web.stored import NOON, store

pytestmark = pytest.mark.django_db


def offers(**query):
    return kinds_and_sources(Listing(query))


def test_each_source_is_offered_with_its_messages_and_the_chosen_one_stays():
    for source in ("index", "", "admin", "index"):
        store(source=source)
    assert offers(source="gone")[1] == [("admin", "the admin", "1"), ("gone", "gone", "0"), ("index", "index", "2")]


def test_what_is_counted_is_of_the_tab_and_the_time():
    store(kind="a", state=State.FAILED)
    store(kind="a", state=State.FAILED, created_at=NOON - timedelta(days=1))
    store(kind="b")
    assert [(kind.value, kind.messages) for kind in offers(tab="failed", time="2026-11-03")[0]] == [
        ("a", "1"),
        ("b", "0"),
    ]


def test_a_count_that_is_cut_off_says_so(monkeypatch):
    monkeypatch.setattr(facets, "COUNTED", 2)
    for _ in range(3):
        store(kind="a")
    assert offers()[0] == [("a", "a", "2+")]


def test_the_kinds_to_choose_from_are_those_of_the_newest_messages(monkeypatch):
    """Those whose template is gone from the disk are among them, and those of a mail that an app has sent itself."""
    monkeypatch.setattr(facets, "SPAN", 4)
    for minute, kind in enumerate(["mail/older", "mail/gone", "", "mail/gone", "shop/order"]):
        store(kind=kind, created_at=NOON + timedelta(minutes=minute))
    assert [kind.value for kind in offers()[0]] == ["mail/gone", "mail/older", "shop/order"]


def test_the_kinds_to_choose_from_are_read_of_the_index_alone():
    if connection.vendor != "sqlite":
        pytest.skip("the other databases read a small table without an index")
    with CaptureQueriesContext(connection) as queries:
        offers()
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            assert [row[-1] for row in cursor.fetchall()] == [
                "SCAN flasky_mail_outboxmessage USING COVERING INDEX flasky_mail_stored"
            ]
