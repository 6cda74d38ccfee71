"""accounts.visitor: what the site remembers of a visitor, and what somebody could do with the cookie."""

import time

import pytest
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.test import Client

from accounts.visitor import COOKIE, SALT, STRANGER, Visitor, numbered, remember, visitor_of

ANN = Visitor("Ann", known=True, cause="accounts.user:17", number="abcdefghijkl")
FIELDS = ANN._asdict()


def cookie_for(visitor):
    response = HttpResponse()
    remember(visitor, response)
    return response.cookies[COOKIE]


def visitor_with(value):
    request = HttpRequest()
    request.COOKIES = {COOKIE: value}
    return visitor_of(request)


def test_without_a_cookie_a_visitor_is_a_stranger():
    assert visitor_of(HttpRequest()) == STRANGER == ("", False, "", "")


@pytest.mark.parametrize("visitor", [ANN, STRANGER, Visitor("Bob"), Visitor("Bob", cause="accounts.user:1")])
def test_a_visitor_is_remembered(visitor):
    assert visitor_with(cookie_for(visitor).value) == visitor


NAMES = ["a;b", "a, b", '"Ann"', "O'Brien", "Ann\\", "Ann\r\nSet-Cookie: x=1", "Ann\0", "=", "%00", "佐藤 花子", "محمد"]


@pytest.mark.parametrize("name", [*NAMES, "x" * 64, "é" * 64, "佐" * 64, "👩" * 64, "👩\u200d" * 32])
def test_a_name_in_any_script_comes_back_letter_by_letter_and_fits(name):
    cookie = cookie_for(numbered(Visitor(name, known=False, cause=f"accounts.user:{2**63}")))
    assert visitor_with(cookie.value).name == name
    header = cookie.OutputString()
    assert len(header) < 2000  # bytes; browsers keep 4096
    assert header.isascii()
    assert header.isprintable()
    assert cookie.coded_value == cookie.value  # nothing in it needs quotes


def test_the_cookie_is_for_the_browser_only_and_until_it_is_closed():
    cookie = cookie_for(ANN)
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert cookie["domain"] == cookie["max-age"] == cookie["expires"] == ""


@pytest.mark.parametrize("https", [True, False])
def test_the_cookie_is_secure_where_the_site_is(settings, https):
    settings.SESSION_COOKIE_SECURE = https
    assert bool(cookie_for(ANN)["secure"]) is https


def other_salt(salt):
    return signing.dumps(FIELDS, salt=salt)


def tampered():
    rest = cookie_for(ANN).value.partition(":")[2]
    return signing.b64_encode(b'{"name":"Eve","known":true,"cause":""}').decode() + ":" + rest


WORTHLESS = {
    "empty": "",
    "rubbish": "rubbish",
    "separators": ":::::",
    "json": '{"name":"Eve"}',
    "no ASCII": "é:é:é",
    "NUL": "\0:\0:\0",
    "a dot, as before what is compressed": ".x:x:x",
    "long": "x" * 100_000,
    "long, in parts": "x:" * 50_000,
    "a guessed key": signing.dumps(FIELDS, key="a guess", salt=SALT),
    "the salt of a session": other_salt("django.contrib.sessions.backends.signed_cookies"),
    "the salt of a session's row": other_salt("django.contrib.sessions.SessionStore"),
    "the salt of messages": other_salt("django.contrib.messages"),
    "no salt": signing.dumps(FIELDS),
    "without a time": signing.Signer(salt=SALT).sign_object(FIELDS),
    "a list": signing.dumps(["Eve", True, ""], salt=SALT),
    "a text": signing.dumps("Eve", salt=SALT),
    "nothing": signing.dumps(None, salt=SALT),
    "a field of a later version": signing.dumps(FIELDS | {"color": "red"}, salt=SALT),
    "no JSON": signing.TimestampSigner(salt=SALT).sign("eA"),
    "no base64": signing.TimestampSigner(salt=SALT).sign("x"),
    "not compressed": signing.TimestampSigner(salt=SALT).sign(".eA"),
}


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in WORTHLESS.items()])
def test_what_is_not_signed_here_for_this_purpose_is_a_strangers(value):
    assert visitor_with(value) == STRANGER


def test_a_cookie_with_another_name_in_it_is_a_strangers():
    assert visitor_with(tampered()) == STRANGER


@pytest.mark.parametrize("part", range(3))
def test_a_cookie_with_one_letter_changed_is_a_strangers(part):
    parts = cookie_for(ANN).value.split(":")
    parts[part] = ("A" if parts[part][0] != "A" else "B") + parts[part][1:]
    assert visitor_with(":".join(parts)) == STRANGER


def test_a_cookie_ends_after_a_day(settings, monkeypatch):
    cookie = cookie_for(ANN)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + settings.SESSION_COOKIE_AGE - 10)
    assert visitor_with(cookie.value) == ANN
    monkeypatch.setattr(time, "time", lambda: now + settings.SESSION_COOKIE_AGE + 10)
    assert visitor_with(cookie.value) == STRANGER


def test_a_cookie_outlives_its_key_as_long_as_the_old_key_is_kept(settings):
    cookie = cookie_for(ANN)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    assert visitor_with(cookie.value) == ANN
    settings.SECRET_KEY_FALLBACKS = []
    assert visitor_with(cookie.value) == STRANGER


@pytest.mark.parametrize("url", ["/", "/notification/", "/admin/", "/mailbox/", "/no-such-page"])
@pytest.mark.parametrize("value", ["rubbish", "é", r'"\000:\073"', "x" * 8000, '"', "a;visitor=b"])
@pytest.mark.django_db
def test_a_strange_cookie_breaks_no_page(url, value):
    browser = Client(raise_request_exception=False, headers={"cookie": f"visitor={value}"})
    response = browser.get(url)
    assert response.status_code in (200, 204, 302, 404)
    if url == "/":
        assert "Hello, Stranger!" in response.content.decode()


@pytest.mark.django_db
def test_the_cookie_of_another_opens_nothing_but_a_greeting():
    browser = Client()
    browser.cookies[COOKIE] = cookie_for(Visitor("Boss", known=True)).value
    assert "Hello, Boss!" in browser.get("/").content.decode()
    assert browser.get("/admin/")["Location"].startswith("/admin/login/")


@pytest.mark.django_db
def test_what_a_visitor_sees_is_kept_for_no_other(client):
    for url in ("/", "/notification/"):
        assert "Cookie" in client.get(url)["Vary"]


def test_the_form_greets_a_visitor_while_the_database_is_away():
    """Without the mark django_db every query fails."""
    browser = Client()
    assert "Hello, Stranger!" in browser.get("/").content.decode()
    browser.cookies[COOKIE] = cookie_for(Visitor("Ann", known=True)).value
    assert "Hello, Ann!" in browser.get("/").content.decode()


@pytest.mark.django_db
def test_two_tabs_of_a_browser_greet_by_the_name_that_was_typed_last(client):
    client.get("/")
    client.post("/", {"name": "Ann"})
    client.post("/", {"name": "Bob"})
    assert "Hello, Bob!" in client.get("/").content.decode()
