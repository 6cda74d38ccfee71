"""accounts.logins: how often a password can be guessed, and what is written about it."""

import asyncio
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from django.contrib.auth import aauthenticate, authenticate
from django.test import Client

from accounts.models import User
from flasky.guard import limits
from flasky.guard.models import Tally

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
NOW = 1_800_000_000  # a period begins here
HOME, ELSEWHERE = "192.0.2.7", "203.0.113.9"


@pytest.fixture(autouse=True)
def at(monkeypatch, settings):
    settings.LOGINS_PER_NAME, settings.LOGINS_PER_ADDRESS = 3, 5

    def set_clock(moment):
        monkeypatch.setattr(limits, "clock", SimpleNamespace(now=lambda: datetime.fromtimestamp(moment, timezone.utc)))

    set_clock(NOW)
    return set_clock


@pytest.fixture(autouse=True)
def boss():
    User.objects.bulk_create([User(username=name, is_staff=True, is_superuser=True) for name in ("Boss", "Other")])
    for user in User.objects.all():
        user.set_password(PASSWORD)
        user.save()


def log_in(password, name="Boss", where=ELSEWHERE, **headers):
    """Return the status: 302 for who gets in, 200 for who may try again."""
    fields = {"username": name, "password": password}
    return Client(REMOTE_ADDR=where).post("/admin/login/?next=/admin/", fields, **headers).status_code


def test_a_name_is_guessed_only_so_often_wherever_the_guesses_come_from(at):
    assert [log_in("wrong", where=f"198.51.100.{number}") for number in range(5)] == [200, 200, 200, 429, 429]
    assert log_in(PASSWORD) == 429  # the right one, too: nobody must learn which it was
    assert log_in(PASSWORD, name="Other") == 302
    at(NOW + 900)
    assert log_in(PASSWORD) == 302


def test_an_address_guesses_only_so_often_whatever_the_names():
    assert [log_in("wrong", name=f"Name {number}") for number in range(7)] == [200] * 5 + [429] * 2
    assert log_in(PASSWORD, name="Other") == 429
    assert log_in(PASSWORD, name="Other", where=HOME) == 302


def test_one_customers_addresses_of_ipv6_are_one():
    addresses = [f"2001:db8:1:2::{number}" for number in range(7)]
    assert [log_in("wrong", f"Name {where}", where) for where in addresses] == [200] * 5 + [429] * 2


def test_who_is_refused_is_told_when_to_come_again():
    for _ in range(3):
        log_in("wrong")
    response = Client().post("/admin/login/", {"username": "Boss", "password": PASSWORD})
    assert response["Retry-After"] == "900"
    assert "wait 15 minutes" in response.content.decode()


def test_a_forged_header_makes_no_other_address_and_no_other_path():
    forged = {
        "HTTP_X_FORWARDED_FOR": "198.51.100.1",
        "HTTP_SCRIPT_NAME": "/elsewhere",
        "HTTP_X_REAL_IP": "198.51.100.2",
    }
    tries = [log_in("wrong", f"Name {number}", **forged) for number in range(6)]
    assert tries == [200] * 5 + [429]


def test_who_is_guessed_at_elsewhere_still_gets_in_at_home():
    assert log_in(PASSWORD, where=HOME) == 302
    assert [log_in("wrong") for _ in range(4)] == [200, 200, 200, 429]
    assert log_in(PASSWORD, where=HOME) == 302
    assert [log_in("wrong", where=HOME) for _ in range(4)] == [200, 200, 200, 429]


def test_who_gets_in_uses_nothing_up_and_forgives_no_guesses():
    assert [log_in(PASSWORD, where=HOME) for _ in range(7)] == [302] * 7
    assert [log_in("wrong", f"Name {number}", HOME) for number in range(4)] == [200] * 4
    assert log_in(PASSWORD, where=HOME) == 302
    assert [log_in("wrong", name, HOME) for name in ("Five", "Six")] == [200, 429]


def test_another_spelling_of_a_name_is_no_other_name():
    assert [log_in("wrong", name) for name in ("Boss", " Boss", "Boss\u200b", "Boss ")] == [200, 200, 200, 429]


def test_what_does_not_exist_is_counted_like_what_does():
    assert [log_in("wrong", "Nobody", f"198.51.100.{n}") for n in range(4)] == [200, 200, 200, 429]


def test_a_refused_guess_is_not_hashed(monkeypatch):
    for _ in range(3):
        log_in("wrong")
    monkeypatch.setattr(User, "check_password", lambda *_: pytest.fail("it was hashed"))
    assert log_in(PASSWORD) == 429


def test_limits_of_zero_are_none(settings):
    settings.LOGINS_PER_NAME = settings.LOGINS_PER_ADDRESS = 0
    assert {log_in("wrong") for _ in range(8)} == {200}


def test_code_without_a_request_is_limited_by_name():
    for _ in range(3):
        assert authenticate(username="Boss", password="wrong") is None
    with pytest.raises(limits.TooMany):
        authenticate(username="Boss", password=PASSWORD)
    assert authenticate(token="of something else") is None


@pytest.mark.django_db(transaction=True)
def test_asynchronous_code_is_limited_too():
    for _ in range(3):
        log_in("wrong")
    with pytest.raises(limits.TooMany):
        asyncio.run(aauthenticate(username="Boss", password=PASSWORD))


def test_the_old_password_is_guessed_only_so_often_by_who_has_a_session(client):
    client.force_login(User.objects.get(username="Boss"))
    fields = {"old_password": "wrong", "new_password1": "staple in a stable", "new_password2": "staple in a stable"}
    tries = [client.post("/admin/password_change/", fields).status_code for _ in range(4)]
    assert tries == [200, 200, 200, 429]
    assert client.get("/admin/password_change/").status_code == 200


def test_who_is_not_logged_in_is_asked_to_before_a_password_is_changed(client):
    assert client.post("/admin/password_change/")["Location"].startswith("/admin/login/")
    assert not Tally.objects.exists()


# The log


def test_each_failure_is_in_the_log_with_its_number_and_without_the_name(caplog):
    log_in("hunter2", where=HOME)
    log_in("hunter2")
    assert [record.getMessage() for record in caplog.records if record.name == "accounts.logins"] == [
        r"A log-in as 'B\u2026' from 192.0.2.7 failed: number 1 for the name, 1 from there.",
        r"A log-in as 'B\u2026' from 203.0.113.9 failed: number 2 for the name, 1 from there.",
    ]
    assert "hunter2" not in caplog.text
    assert "Boss" not in caplog.text


def test_the_first_refusal_is_in_the_log_and_the_thousandth_is_not(caplog):
    for _ in range(8):
        log_in("wrong")
    refused = [record for record in caplog.records if "refused" in record.getMessage()]
    assert [record.getMessage() for record in refused] == [
        r"Log-ins as 'B\u2026' from 203.0.113.9 are refused: log-ins by name: more than 3 in 900 s."
    ]


def test_a_name_writes_no_line_of_its_own_into_the_log(caplog):
    authenticate(username="\nCRITICAL root: all is lost", password="wrong")
    assert r"A log-in as '\n\u2026' from this machine failed" in caplog.text
    assert "CRITICAL" not in caplog.text


def test_who_gets_in_is_not_in_the_log(caplog):
    log_in(PASSWORD)
    assert "accounts.logins" not in caplog.text
