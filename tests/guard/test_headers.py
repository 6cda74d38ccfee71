"""flasky.guard.headers: what every answer tells the browser."""

from http import HTTPStatus

import pytest
from django.conf import settings as site_settings
from django.test import Client

from flasky.guard.headers import ALWAYS
from flasky.guard.worker import answer
from tests.site.test_site import post_in_a_strange_charset

PAGES = ["/", "/admin/", "/admin/login/", "/mailbox/", "/notification/"]
PATHS = [*PAGES, "/nowhere", "/broken", "/forbidden", "/suspicious"]
PROBES = ["/healthz", "/readyz", "/metrics", "/favicon.ico"]
with_error_views = pytest.mark.urls("tests.site.test_site")


@pytest.fixture
def browser():
    return Client(raise_request_exception=False)


def assert_strict(response):
    assert all(name in response for name in ALWAYS)
    assert "no-store" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert "camera=()" in response["Permissions-Policy"]
    assert response["Cross-Origin-Opener-Policy"] == response["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.django_db
@with_error_views
@pytest.mark.parametrize("path", [*PATHS, *PROBES])
def test_every_answer_is_strict(browser, path):
    assert_strict(browser.get(path))


@pytest.mark.django_db
@with_error_views
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_to_a_post_is_strict(path):
    assert_strict(Client(raise_request_exception=False, enforce_csrf_checks=True).post(path, {"name": "x"}))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/flasky_mail/outboxmessage/"])
def test_the_admin_is_strict_too(admin_client, path):
    assert_strict(admin_client.get(path))


def test_refusals_are_strict(browser, settings):
    settings.MAX_BODY_SIZE = 1
    assert_strict(browser.post("/", {"name": "Ann"}))
    assert_strict(post_in_a_strange_charset(browser))
    assert_strict(browser.get("/", headers={"host": "evil.example"}))
    settings.SECURE_SSL_REDIRECT = True
    assert_strict(Client().get("/"))


def test_refusals_of_the_server_itself_are_strict():
    head = answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE).decode()
    for name, value in ALWAYS.items():
        assert f"{name}: {value}\r\n" in head


def test_static_files_are_kept_by_browsers(client):
    response = client.get("/static/flasky/style.css")
    assert "max-age" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response.getvalue()


def test_a_debug_page_can_be_read(browser, settings):
    settings.DEBUG = True
    assert "style-src 'unsafe-inline'" in browser.get("/nowhere")["Content-Security-Policy"]


def test_it_is_outermost():
    assert site_settings.MIDDLEWARE[0] == "flasky.guard.headers.strict"
