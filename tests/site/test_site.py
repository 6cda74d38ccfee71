"""flasky.site.middleware, flasky.urls and what the settings promise of every page."""

import re
from html.parser import HTMLParser

import pytest
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.test import Client
from django.urls import path
from django.utils import translation

from accounts.models import User
from flasky import urls
from flasky.mail.models import OutboxMessage

handler400 = urls.handler400


def raising(error):
    def view(request):
        raise error

    return view


urlpatterns = [
    *urls.urlpatterns,
    path("broken", raising(ZeroDivisionError("a secret of ours"))),
    path("forbidden", raising(PermissionDenied)),
    path("suspicious", raising(SuspiciousOperation)),
    path("for-the-few", permission_required("accounts.add_user", raise_exception=True)(raising(AssertionError))),
]

with_error_views = pytest.mark.urls(__name__)

ERROR_PAGES = [
    ("/no-such-page", 404, "Page Not Found", "Not Found"),
    ("/broken", 500, "Internal Server Error", "Internal Server Error"),
    ("/forbidden", 403, "Forbidden", "Forbidden"),
    ("/suspicious", 400, "Bad Request", "Bad Request"),
]


@pytest.fixture
def browser():
    """A client that gets an error page where the usual one gets the exception."""
    return Client(raise_request_exception=False)


def page(response):
    return response.content.decode()


def assert_in_the_layout(response, title, heading):
    html = page(response)
    assert f"<title>{title}</title>" in html
    assert re.findall(r"<h1\b[^>]*>(.*?)</h1>", html) == [heading]
    [navigation] = re.findall(r"<nav\b.*?</nav>", html, re.DOTALL)
    assert re.search(r'<a[^>]*href="/"[^>]*>Home</a>', navigation)
    assert "flasky/style.css" in html


class InlineCode(HTMLParser):
    """Collects what a strict Content-Security-Policy makes the browser ignore."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [name for name in names if name == "style" or name.startswith("on")]
        self.found += [value for value in names.values() if (value or "").startswith("javascript:")]


def assert_strict(response):
    """The browser runs and shows only what comes from files of our own."""
    policy = dict(rule.split(" ", 1) for rule in response["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in response["Content-Security-Policy"]
    assert InlineCode(page(response)).found == []


@pytest.mark.django_db
@with_error_views
@pytest.mark.parametrize(("url", "status", "title", "heading"), ERROR_PAGES)
def test_an_error_is_answered_in_the_layout_of_the_site(browser, url, status, title, heading):
    response = browser.get(url)
    assert response.status_code == status
    assert_in_the_layout(response, f"Flasky - {title}", heading)
    assert "secret" not in page(response)
    assert "Traceback" not in page(response)


@pytest.mark.django_db
@with_error_views
@pytest.mark.parametrize("url", [row[0] for row in ERROR_PAGES] + ["/", "/admin/login/"])
def test_no_page_has_code_or_style_in_it(browser, url):
    assert_strict(browser.get(url))


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/admin/", "/admin/accounts/user/", "/admin/accounts/user/add/"])
def test_the_admin_needs_no_exception_from_the_rule(admin_client, url):
    assert_strict(admin_client.get(url))


@pytest.mark.django_db
def test_the_page_for_a_form_without_its_token_is_strict_too():
    assert_strict(Client(enforce_csrf_checks=True).post("/", {"name": "John"}))


@pytest.mark.django_db
@with_error_views
def test_who_may_not_see_a_page_is_told_so(client):
    client.force_login(User.objects.create(username="Ann"))
    response = client.get("/for-the-few")
    assert response.status_code == 403
    assert_in_the_layout(response, "Flasky - Forbidden", "Forbidden")


@pytest.mark.django_db
@with_error_views
def test_an_error_is_told_to_the_administrators(browser):
    browser.get("/broken")
    message = OutboxMessage.objects.get()
    assert message.subject.startswith("[Flasky] ERROR")
    assert message.subject.endswith("/broken")
    assert message.recipients == ["admin@example.com"]


@with_error_views
@pytest.mark.parametrize(("url", "status", "title", "heading"), ERROR_PAGES)
def test_an_error_page_needs_no_database(browser, url, status, title, heading):
    """Without the mark django_db every query fails, the one that stores the administrators' mail included."""
    response = browser.get(url)
    assert response.status_code == status
    assert_in_the_layout(response, f"Flasky - {title}", heading)


@pytest.mark.django_db
def test_a_host_that_is_not_ours_is_a_bad_request_and_no_news(browser):
    response = browser.get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert_in_the_layout(response, "Flasky - Bad Request", "Bad Request")
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(("language", "title"), [("en", "Flasky - Bad Request"), ("zh-hans", "Flasky - 请求有误")])
def test_what_is_refused_at_once_is_told_in_the_visitors_language_not_in_that_of_the_one_before(
    client, language, title
):
    with translation.override("zh-hans" if language == "en" else "en"):
        response = client.get("/", headers={"host": "evil.example", "accept-language": language})
        assert f"<title>{title}</title>" in response.content.decode()


def post_in_a_strange_charset(client):
    return client.generic("POST", "/", b"name=John", "application/x-www-form-urlencoded; charset=hex")


def test_the_page_for_a_form_in_a_strange_charset_is_strict_too(client):
    response = post_in_a_strange_charset(client)
    assert response.status_code == 400
    assert_in_the_layout(response, "Flasky - Bad Request", "Bad Request")
    assert_strict(response)


def test_the_page_for_a_form_in_a_strange_charset_cannot_be_framed(client):
    assert post_in_a_strange_charset(client).headers.get("X-Frame-Options") == "DENY"


@pytest.mark.parametrize("page", ["accounts/user", "auth/group", "flasky_mail/outboxmessage"])
@pytest.mark.parametrize("action", ["change", "delete"])
def test_the_admin_looks_up_no_field_without_a_name(admin_client, page, action):
    user, group, message = User.objects.get(), Group.objects.create(), OutboxMessage.objects.first()
    number = {"user": user.pk, "group": group.pk, "outboxmessage": message.pk}[page.partition("/")[2]]
    assert admin_client.get(f"/admin/{page}/{number}/{action}/?_to_field=").status_code == 400


@pytest.mark.django_db
@with_error_views
@pytest.mark.parametrize("url", [row[0] for row in ERROR_PAGES] + ["/", "/admin/login/"])
def test_no_page_can_be_framed_or_sniffed(browser, url):
    response = browser.get(url)
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"


def test_healthz_is_plain_and_needs_no_database(client):
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain"
    assert response.content.strip() == b"ok"
    assert not response.cookies


def test_a_load_balancer_gets_its_answer_without_tls_and_people_are_sent_to_https(settings):
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/healthz").content.strip() == b"ok"
    for url in ("/", "/admin/", "/healthz/more"):
        response = Client().get(url)
        assert response.status_code == 301
        assert response["Location"] == f"https://testserver{url}"


def test_every_file_that_the_layout_names_is_there(client):
    urls = re.findall(r'href="(/static/[^"]+)"', page(client.get("/no-such-page")))
    assert len(urls) == 3
    for url in urls:
        response = client.get(url)
        assert response.status_code == 200
        assert response.getvalue()


def test_a_forgotten_collectstatic_costs_compression_and_not_the_pages(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    response = Client().get("/")
    assert response.status_code == 200
    assert "flasky/style.css" in page(response)


@pytest.mark.django_db
def test_the_mailbox_is_not_there_and_not_linked_outside_development(client):
    assert client.get("/mailbox/").status_code == 404
    assert "ailbox" not in page(client.get("/"))
