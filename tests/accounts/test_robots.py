"""accounts.robots: who cannot be a person is asked to send the form once more."""

import re
from datetime import datetime, timezone

import pytest
from django.core import signing

from accounts import robots
from accounts.models import User

pytestmark = pytest.mark.django_db

NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def at(monkeypatch, settings):
    settings.FORM_MIN_SECONDS = 2

    def set_clock(moment):
        monkeypatch.setattr(robots.clock, "now", lambda: datetime.fromtimestamp(moment, timezone.utc))

    set_clock(NOW)
    return set_clock


def fields_of(page):
    """Return what a browser would send of the form, but for the name."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode()))


def is_refused(response):
    if response.status_code == 302:
        return False
    assert "Please send the form once more." in response.content.decode()
    assert not User.objects.exists()
    return True


def test_who_takes_the_time_of_a_person_is_let_through(client, at):
    fields = fields_of(client.get("/"))
    at(NOW + 2)
    assert not is_refused(client.post("/", {"name": "Ann", "website": "", **fields}))
    assert User.objects.get().username == "Ann"


def test_who_is_quicker_is_asked_once_more_and_keeps_what_was_typed(client, at):
    page = client.post("/", {"name": "Ann", **fields_of(client.get("/"))})
    assert is_refused(page)
    assert 'value="Ann"' in page.content.decode()
    at(NOW + 2)
    assert not is_refused(client.post("/", {"name": "Ann", **fields_of(page)}))


def test_a_page_that_was_open_for_a_week_is_good(client, at):
    fields = fields_of(client.get("/"))
    at(NOW + 7 * 24 * 3600)
    assert not is_refused(client.post("/", {"name": "Ann", **fields}))


@pytest.mark.parametrize("asked", [None, "", "x", "1", "\x00", "1:x:y"])
def test_who_has_not_asked_for_the_form_is_asked_once_more(client, asked):
    fields = {} if asked is None else {"asked": asked}
    assert is_refused(client.post("/", {"name": "Ann", **fields}))


def test_a_time_that_was_signed_for_something_else_is_none(client):
    assert is_refused(client.post("/", {"name": "Ann", "asked": signing.dumps(1, salt="another")}))


def test_who_fills_in_what_nobody_sees_is_asked_once_more(client, at, settings):
    fields = fields_of(client.get("/"))
    at(NOW + 60)
    assert is_refused(client.post("/", {"name": "Ann", **fields, "website": "https://evil.example/"}))
    settings.FORM_MIN_SECONDS = 0
    assert is_refused(client.post("/", {"name": "Ann", "website": "x"}))


def test_no_limit_is_none(client, settings):
    settings.FORM_MIN_SECONDS = 0
    assert not is_refused(client.post("/", {"name": "Ann"}))


def test_the_trap_is_hidden_from_everybody(client):
    [trap] = re.findall(r"<p hidden>.*?</p>", client.get("/").content.decode())
    assert 'name="website"' in trap
    assert 'tabindex="-1" autocomplete="off"' in trap
