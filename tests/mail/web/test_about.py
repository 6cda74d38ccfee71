"""flasky.mail.web.about: the names of what messages are about, and what is found by them."""

import pytest
from django.contrib import admin
from django.core.mail import EmailMessage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from flasky.mail import cause_of
from flasky.mail.models import OutboxMessage
from flasky.mail.web import about
from flasky.mail.web.about import Objects
from flasky.mail.web.search import Listing
from tests.people import staff_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def seen_by(rf):
    """The objects as somebody with these permissions sees them."""

    def seen_by(*permissions):
        request = rf.get("/")
        request.user = staff_user("Ann", *permissions)
        return Objects(request, admin.site)

    return seen_by


@pytest.fixture
def objects(seen_by):
    return seen_by("view_user")


def user(name):
    User.objects.bulk_create([User(username=name)])
    return User.objects.get(username=name)


def store(instance=None, **changes):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.cause = cause_of(instance)
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(**changes)
    return email.outbox_message


def selects(queries):
    return [query["sql"] for query in queries if query["sql"].startswith("SELECT")]


def found(words, objects, **query):
    return [message.pk for message in Listing({"q": words, **query}, objects).page]


@pytest.mark.parametrize("words", ["张小明", "张小", "小明", "明"])
def test_a_part_of_a_chinese_name_is_found_without_spaces(objects, words):
    about_zhang, about_wang = store(user("张小明")), store(user("王小红"))
    assert found(words, objects) == [about_zhang.pk]
    assert set(found("小", objects)) == {about_zhang.pk, about_wang.pk}


@pytest.mark.parametrize("words", ["订单已发货", "已发货", "订单"])
def test_a_part_of_a_chinese_subject_is_found(objects, words):
    message = store(subject="您的订单已发货")
    store(subject="密码重置")
    assert found(words, objects) == [message.pk]


def test_an_object_has_its_name(objects):
    zoe = user("Zoë O'Brien")
    gone = "accounts.user:4711"
    strange = ["accounts.user:x", f"accounts.user:{10**40}", "nothing:1", "", ":", "accounts.user:"]
    assert objects.names([cause_of(zoe), gone, *strange]) == {cause_of(zoe): "Zoë O'Brien"}


def test_fifty_names_cost_one_query_for_each_kind_of_object(objects):
    causes = [cause_of(user(f"user {number}")) for number in range(50)]
    objects.names(causes)  # what the person may see is looked up once
    with CaptureQueriesContext(connection) as queries:
        assert len(objects.names(causes)) == 50
    assert len(selects(queries)) == 1


@pytest.mark.parametrize("words", ["Zoë", "o'brien", "王小明", "小明", "zoë 王"])
def test_a_message_is_found_by_the_name_of_what_it_is_about(objects, words):
    chosen = store(user("Zoë O'Brien 王小明"))
    store(user("Another"))
    assert found(words, objects) == [chosen.pk]


def test_what_has_the_words_itself_is_found_with_it(objects):
    about_zoe, by_subject = store(user("Zoe")), store(subject="Zoe has written")
    assert found("zoe", objects) == [by_subject.pk, about_zoe.pk]


def test_the_filters_are_for_what_a_name_finds_too(objects):
    zoe = user("Zoe")
    failed, _sent = store(zoe, state="failed", kind="a"), store(zoe, state="sent", kind="a")
    assert found("zoe", objects, tab="failed", kind="a") == [failed.pk]
    assert found("zoe", objects, kind="b") == []


def test_a_name_finds_messages_that_are_older_than_the_window(objects, monkeypatch):
    monkeypatch.setattr("flasky.mail.web.search.SPAN", 3)
    old = store(user("Zoe"))
    for _ in range(5):
        store()
    assert found("zoe", objects) == [old.pk]
    assert [message.pk for message in Listing({"q": "zoe"}, objects).matching()] == [old.pk]


def test_a_whole_name_is_found_among_all_and_a_part_among_the_newest(objects, monkeypatch):
    monkeypatch.setattr(about, "NEWEST", 2)
    old = store(user("Zoe"))
    user("a"), user("b")
    assert found("Zoe", objects) == [old.pk]
    assert found("Zo", objects) == []


def test_who_may_not_see_the_object_neither_reads_its_name_nor_finds_it(seen_by):
    objects, zoe = seen_by("view_outboxmessage"), user("Zoe")
    store(zoe)
    assert objects.names([cause_of(zoe)]) == {}
    assert found("zoe", objects) == []


def test_a_search_for_a_name_costs_a_few_queries_more(objects):
    store(user("Zoe"))
    found("zoe", objects)
    with CaptureQueriesContext(connection) as queries:
        found("zoe", objects)
    assert len(selects(queries)) <= 9
