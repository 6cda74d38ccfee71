"""accounts.newcomers: how many new names the form stores, of a browser, of an address, and in total."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import welcome
from accounts.models import User
from flasky.guard import limits
from flasky.guard.models import Tally
from flasky.mail.limits.budget import forget
from flasky.mail.models import OutboxMessage
from tests.accounts.test_views import read, typed

pytestmark = pytest.mark.django_db

NOW = 1_800_000_000  # a period begins here
HOME = "192.0.2.7"


@pytest.fixture(autouse=True)
def at(monkeypatch, settings):
    settings.NAMES_PER_VISITOR, settings.NAMES_PER_ADDRESS, settings.NAMES_IN_TOTAL = 2, 3, 5

    def set_clock(moment):
        monkeypatch.setattr(limits, "clock", SimpleNamespace(now=lambda: datetime.fromtimestamp(moment, timezone.utc)))

    set_clock(NOW)
    return set_clock


def browser(where=HOME):
    return Client(REMOTE_ADDR=where)


def submit(name, who=None, where=HOME):
    return (who or browser(where)).post("/", {"name": name})


def statuses(*submitted):
    return [response.status_code for response in submitted]


def test_a_browser_stores_only_so_many_new_names(at):
    ann = browser()
    assert statuses(*(submit(f"Ann {n}", ann) for n in range(3))) == [302, 302, 429]
    assert submit("Bob").status_code == 302  # from the same address
    at(NOW + 600)
    assert submit("Ann 3", ann).status_code == 302


def test_a_browser_is_known_by_its_cookie_whatever_its_address():
    ann = browser()
    for number in range(2):
        submit(f"Ann {number}", ann)
    ann.defaults["REMOTE_ADDR"] = "203.0.113.9"
    assert submit("Ann 2", ann).status_code == 429


def test_who_throws_the_cookie_away_is_counted_by_address():
    assert statuses(*(submit(f"Name {n}") for n in range(5))) == [302, 302, 302, 429, 429]
    assert submit("Name 3", where="203.0.113.9").status_code == 302


def test_one_customers_addresses_of_ipv6_are_one():
    addresses = [f"2001:db8:1:2::{number}" for number in range(5)]
    assert statuses(*(submit(where, where=where) for where in addresses)) == [302, 302, 302, 429, 429]


def test_a_forged_header_makes_no_other_address():
    for number in range(3):
        submit(f"Name {number}")
    forged = {"HTTP_X_FORWARDED_FOR": "198.51.100.1", "HTTP_X_REAL_IP": "198.51.100.2"}
    assert browser().post("/", {"name": "Name 3"}, **forged).status_code == 429


def test_a_thousand_addresses_together_store_only_so_many():
    answers = [submit(f"Name {n}", where=f"198.51.100.{n}") for n in range(8)]
    assert statuses(*answers) == [302] * 5 + [429] * 3
    assert User.objects.count() == OutboxMessage.objects.count() == 5


def test_an_unknown_address_is_no_address():
    assert statuses(*(submit(f"Name {n}", where="") for n in range(6))) == [302] * 5 + [429]


@pytest.mark.parametrize("name", ["Ann", "Ann ", "Ann\u200b"])
def test_a_known_name_uses_nothing_up_and_is_greeted_in_the_middle_of_a_flood(name):
    for number, known in enumerate(["Ann", *["Ann"] * 6, "Bob", "Cleo"]):
        assert submit(known).status_code == 302, number
    assert submit("Dan").status_code == 429
    assert submit(name).status_code == 302


def test_what_the_form_refuses_uses_nothing_up():
    for _ in range(4):
        assert submit("x" * 65).status_code == submit("root").status_code == 200
        assert browser().post("/", {"name": "Ann", "website": "x"}).status_code == 200
    assert not Tally.objects.exists()
    assert submit("Ann").status_code == 302


def test_what_could_not_be_stored_uses_nothing_up(monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(welcome, "send_email", lambda *_, **__: 1 / 0)
        for _ in range(4):
            with pytest.raises(ZeroDivisionError):
                submit("Ann")
    assert not Tally.objects.exists()
    assert submit("Ann").status_code == 302


def test_who_is_refused_is_told_when_to_come_again_and_keeps_what_was_typed(at):
    for number in range(3):
        submit(f"Name {number}")
    at(NOW + 61)
    response = submit("佐藤 <b>")
    assert (response.status_code, response["Retry-After"]) == (429, "539")
    assert "this one was not stored. Please send the form once more in 9 minutes." in read(response)
    assert typed(response) == "佐藤 <b>"
    assert "csrfmiddlewaretoken" in response.content.decode()
    assert "visitor" not in response.cookies
    assert not User.objects.filter(username__contains="佐藤").exists()
    at(NOW + 600)
    assert submit(typed(response)).status_code == 302


def test_the_last_minute_is_one(at):
    for number in range(3):
        submit(f"Name {number}")
    at(NOW + 590)
    assert "once more in a minute." in read(submit("Ann"))


def test_limits_of_zero_are_none(settings):
    settings.NAMES_PER_VISITOR = settings.NAMES_PER_ADDRESS = settings.NAMES_IN_TOTAL = 0
    ann = browser()
    assert {submit(f"Ann {n}", ann).status_code for n in range(8)} == {302}
    assert not Tally.objects.exists()


def test_a_refusal_costs_one_look_for_the_name_and_writes_nothing(django_assert_num_queries):
    for number in range(5):
        submit(f"Name {number}")
    with django_assert_num_queries(1) as queries:
        assert submit("Ann").status_code == 429
    assert queries[0]["sql"].startswith("SELECT")


def statements_of_a_new_name(name):
    with CaptureQueriesContext(connection) as queries:
        assert submit(name).status_code == 302
    return Counter(query["sql"].split()[0] for query in queries)


def test_all_limits_cost_a_new_name_one_look_before_and_two_statements_in_its_transaction(settings):
    with_limits = statements_of_a_new_name("Ann")
    settings.NAMES_PER_VISITOR = settings.NAMES_PER_ADDRESS = settings.NAMES_IN_TOTAL = 0
    without = statements_of_a_new_name("Bob")
    more = with_limits - without
    del more["SAVEPOINT"], more["RELEASE"]
    assert more == {"SELECT": 2, "INSERT": 1}


@pytest.mark.django_db(transaction=True)
def test_a_name_for_whose_mail_there_is_no_room_is_not_stored(settings, client):
    settings.MAIL_BUDGET_TOTAL, settings.MAIL_BUDGET_HELD = (1,), 1
    settings.NAMES_PER_VISITOR = settings.NAMES_PER_ADDRESS = settings.NAMES_IN_TOTAL = 0
    for name in ("Ann", "Bob"):
        assert client.post("/", {"name": name}).status_code == 302
    refused = client.post("/", {"name": "Eve"})
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assert 'value="Eve"' in refused.content.decode()
    assert not User.objects.filter(username="Eve").exists()
    forget()


def submit_at_once(names):
    def submit_and_hang_up(number_and_name):
        number, name = number_and_name
        try:
            return submit(name, where=f"198.51.100.{number}").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(submit_and_hang_up, enumerate(names)))


@pytest.mark.django_db(transaction=True)
def test_of_many_new_names_at_once_exactly_as_many_are_stored_as_the_limit_says():
    assert submit_at_once(f"Name {number}" for number in range(24)) == {302: 5, 429: 19}
    assert User.objects.count() == OutboxMessage.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_of_many_posts_of_one_new_name_at_once_one_stores_it(settings):
    settings.NAMES_IN_TOTAL = 100
    assert submit_at_once(["Ann"] * 24) == {302: 24}
    assert User.objects.count() == OutboxMessage.objects.count() == 1


def test_the_log_has_the_first_refusal_and_not_the_thousandth_nor_the_name(caplog):
    for number in range(9):
        submit(f"Secret {number}")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == ["New names are refused, this one from 192.0.2.7: new names of an address: more than 3 in 600 s."]
