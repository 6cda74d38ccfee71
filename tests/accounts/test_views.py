"""accounts.views: the page with the form."""

import re
from html import escape, unescape

import pytest
from django.http import HttpRequest
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import User
from accounts.visitor import Visitor, visitor_of
from flasky.mail.models import OutboxMessage

pytestmark = pytest.mark.django_db

URLENCODED = "application/x-www-form-urlencoded"


def page(response):
    return response.content.decode()


def read(response):
    """Return what a person reads on the page."""
    return " ".join(unescape(strip_tags(page(response))).split())


def field(response):
    """Return the tag of the field for the name."""
    [tag] = re.findall(r'<input[^>]*name="name"[^>]*>', page(response))
    return tag


def typed(response):
    value = re.search(r'value="([^"]*)"', field(response))
    return unescape(value[1]) if value else ""


def submit(client, name, **options):
    return client.post("/", {"name": name}, **options)


def assert_nothing_happened(response):
    assert not User.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert not {"sessionid", "visitor"} & response.cookies.keys()


def visitor(client):
    """Return what the browser would remind the site of, but for the number by which it is counted."""
    request = HttpRequest()
    request.COOKIES = {name: morsel.value for name, morsel in client.cookies.items()}
    return visitor_of(request)._replace(number="")


def test_a_first_visit_greets_a_stranger(client):
    response = client.get("/")
    assert response.status_code == 200
    assert "<title>Flasky</title>" in page(response)
    assert "Hello, Stranger!" in read(response)
    assert "Pleased to meet you!" in read(response)
    assert_nothing_happened(response)


def test_the_form_asks_for_a_name(client):
    response = client.get("/")
    assert "What is your name?" in read(response)
    assert re.search(r"<button[^>]*>\s*Submit\s*</button>|<input[^>]*value=\"Submit\"", page(response))
    assert '<label for="id_name"' in page(response)
    assert 'id="id_name"' in field(response)
    assert "required" in field(response)
    assert "maxlength" not in field(response)
    assert "csrfmiddlewaretoken" in page(response)
    assert typed(response) == ""


def test_the_navigation_leads_home(client):
    html = page(client.get("/"))
    assert re.search(r'<a[^>]*href="/"[^>]*>Flasky</a>', html)
    assert re.search(r'<a[^>]*href="/"[^>]*>Home</a>', html)


def test_a_new_name_is_stored_told_and_redirected(client):
    response = submit(client, "John")
    assert response.status_code == 302
    assert response["Location"] == "/"
    assert User.objects.get().username == "John"
    assert OutboxMessage.objects.count() == 1
    assert visitor(client) == Visitor("John", False, f"accounts.user:{User.objects.get().pk}")


def test_a_new_name_is_greeted_and_the_field_is_empty_again(client):
    response = submit(client, "John", follow=True)
    assert "Hello, John!" in read(response)
    assert "Pleased to meet you!" in read(response)
    assert "Happy to see you again!" not in read(response)
    assert typed(response) == ""


def test_a_known_name_is_happily_seen_again_and_not_told(client):
    submit(client, "John")
    response = submit(client, "John", follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert "Hello, John!" in read(response)
    assert "Happy to see you again!" in read(response)
    assert "Pleased to meet you!" not in read(response)
    assert typed(response) == ""
    assert visitor(client) == Visitor("John", True, "")
    assert User.objects.count() == OutboxMessage.objects.count() == 1


def test_a_name_is_known_from_another_browser_too(client):
    submit(Client(), "John")
    assert "Happy to see you again!" in read(submit(client, "John", follow=True))
    assert OutboxMessage.objects.count() == 1


def test_another_new_name_in_the_same_browser_is_met_anew(client):
    submit(client, "John")
    submit(client, "John")
    response = submit(client, "Ann", follow=True)
    assert "Hello, Ann!" in read(response)
    assert "Pleased to meet you!" in read(response)
    assert OutboxMessage.objects.count() == 2


def test_reloading_after_the_redirect_changes_nothing(client):
    first = submit(client, "John", follow=True)
    again = client.get("/")
    assert read(again) == read(first)
    assert User.objects.count() == OutboxMessage.objects.count() == 1


def test_browsers_do_not_see_each_others_names(client):
    submit(client, "John")
    assert "Hello, Stranger!" in read(Client().get("/"))


def test_without_an_administrator_the_form_works_all_the_same(client, settings):
    settings.FLASKY_ADMIN = []
    assert "Hello, John!" in read(submit(client, "John", follow=True))
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    "name", ["O'Brien", "<b>x</b>&'\"", "佐藤 花子", "محمد", "👩\u200d👩\u200d👧\u200d👦", "{{ x }}", "x" * 64]
)
def test_a_name_is_greeted_letter_by_letter_and_escaped(client, name):
    response = submit(client, name, follow=True)
    assert f"Hello, {name}!" in " ".join(unescape(re.sub(r"</?(bdi|h1|p|main)\b[^>]*>", "", page(response))).split())
    assert escape(name) in page(response)
    assert "<b>" not in page(response)
    assert User.objects.get().username == name


@pytest.mark.parametrize("name", [" John ", "\u00a0John", "John\t", "\u3000John\u3000"])
def test_space_around_a_name_does_not_make_another_user(client, name):
    submit(client, "John")
    assert "Happy to see you again!" in read(submit(client, name, follow=True))
    assert visitor(client).name == "John"
    assert User.objects.count() == 1


def test_a_name_typed_with_a_combining_accent_is_the_same_user(client):
    submit(client, "Rene\u0301")
    submit(client, "René")
    assert visitor(client) == Visitor("Ren\u00e9", True, "")
    assert OutboxMessage.objects.count() == 1


def test_john_and_john_in_small_letters_are_two_users(client):
    submit(client, "John")
    submit(client, "john")
    assert visitor(client).known is False
    assert User.objects.count() == OutboxMessage.objects.count() == 2


INVALID = [
    ("", "This field is required."),
    ("   ", "This field is required."),
    ("\u00a0\u3000", "This field is required."),
    ("\0", "Please remove the control characters (tabs and the like)."),
    ("Ann\0Lee", "Please remove the control characters (tabs and the like)."),
    ("Ann\tLee", "Please remove the control characters (tabs and the like)."),
    ("Ann\r\nBcc: eve@example.org", "A name is one line: please remove the line breaks."),
    ("Ann\u2028Lee", "A name is one line: please remove the line breaks."),
    ("\u202eeel nnA", "Please remove the invisible characters that change the reading direction."),
    ("\u3164", "A name needs at least one visible character."),
    ("x" * 65, "Please use at most 64 characters; this name has 65."),
    ("x" * 70, "Please use at most 64 characters; this name has 70."),
]


@pytest.mark.parametrize(("name", "message"), INVALID)
def test_an_invalid_name_is_answered_with_a_sentence_at_the_form(client, name, message):
    response = submit(client, name)
    assert response.status_code == 200
    assert message in read(response)
    assert "Hello, Stranger!" in read(response)
    assert 'aria-invalid="true"' in field(response)
    assert_nothing_happened(response)


@pytest.mark.parametrize("name", ["x" * 65, "Ann\tLee", "\u202eAnn", '<b>"' + "x" * 65, "\u3164", " " + "x" * 70])
def test_what_was_typed_stays_in_the_field_to_be_corrected(client, name):
    assert typed(submit(client, name)) == name


def test_an_invalid_name_leaves_the_cookie_as_it_was(client):
    submit(client, "John")
    submit(client, "John")
    before = client.cookies["visitor"].value
    response = submit(client, "x" * 65)
    assert "Hello, John!" in read(response)
    assert "Happy to see you again!" in read(response)
    assert "visitor" not in response.cookies
    assert client.cookies["visitor"].value == before
    assert visitor(client) == Visitor("John", True, "")


@pytest.mark.parametrize("body", [{}, {"nome": "John"}])
def test_a_post_without_the_field_is_an_empty_name(client, body):
    response = client.post("/", body)
    assert response.status_code == 200
    assert "This field is required." in read(response)
    assert_nothing_happened(response)


def test_head_is_answered_like_get_without_a_body(client):
    response = client.head("/")
    assert response.status_code == 200
    assert response.content == b""


def test_options_names_the_methods(client):
    response = client.options("/")
    assert response.status_code == 200
    assert {"GET", "HEAD", "POST", "OPTIONS"} <= set(response["Allow"].split(", "))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(client, method):
    response = client.generic(method, "/", b"name=John", URLENCODED)
    assert response.status_code == 405
    assert "POST" in response["Allow"]
    assert_nothing_happened(response)


@pytest.fixture
def careful_client():
    return Client(enforce_csrf_checks=True)


def test_a_form_without_its_token_is_refused_in_the_layout_of_the_site(careful_client):
    response = submit(careful_client, "John")
    assert response.status_code == 403
    assert "<title>Flasky - Forbidden</title>" in page(response)
    assert re.search(r"<nav\b", page(response))
    assert re.search(r'<a[^>]*href="/"[^>]*>Home</a>', page(response))
    assert_nothing_happened(response)


def test_a_form_with_a_wrong_token_is_refused(careful_client):
    careful_client.get("/")
    response = careful_client.post("/", {"name": "John", "csrfmiddlewaretoken": "x" * 64})
    assert response.status_code == 403
    assert_nothing_happened(response)


def test_the_form_of_the_page_carries_a_token_that_is_accepted(careful_client):
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page(careful_client.get("/")))[1]
    response = careful_client.post("/", {"name": "John", "csrfmiddlewaretoken": token})
    assert response.status_code == 302
    assert User.objects.get().username == "John"


@pytest.fixture
def browser():
    """A client that gets an error page where the usual one gets the exception."""
    return Client(raise_request_exception=False)


def send(client, body, content_type=URLENCODED, **headers):
    """Post the bytes as they are."""
    return client.generic("POST", "/", body, content_type, headers=headers)


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"'])
def test_a_form_that_says_it_is_in_utf_8_is_as_good_as_one_that_does_not(browser, charset):
    send(browser, "name=René".encode(), f"{URLENCODED}; charset={charset}")
    assert User.objects.get().username == "René"


@pytest.mark.parametrize("charset", ["utf-16", "utf-32", "latin-1", "hex", "idna"])
def test_a_form_in_another_charset_is_a_bad_request(browser, charset):
    response = send(browser, "name=John".encode("utf-16"), f"{URLENCODED}; charset={charset}")
    assert response.status_code == 400
    assert "<title>Flasky - Bad Request</title>" in page(response)
    assert_nothing_happened(response)


def test_a_form_in_another_charset_is_a_bad_request_where_its_token_would_be_read_too():
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.get("/")
    response = send(browser, b"name=John", f"{URLENCODED}; charset=utf-16")
    assert response.status_code == 400
    assert "<title>Flasky - Bad Request</title>" in page(response)


@pytest.mark.parametrize("charset", ["klingon", "x" * 300, "", '"'])
@pytest.mark.parametrize("content_type", [URLENCODED, "multipart/form-data; boundary=b", "text/plain"])
def test_a_form_in_no_charset_at_all_is_no_error_of_ours(browser, charset, content_type):
    response = send(browser, b"name=", f"{content_type}; charset={charset}")
    assert response.status_code in (200, 400)
    assert_nothing_happened(response)


@pytest.mark.parametrize("charset", ["utf-16", "utf-32", "latin-1", "klingon", "hex", "idna", "punycode"])
def test_a_form_in_parts_and_another_charset_is_no_error_of_ours(browser, charset):
    body = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nJohn Doe!\r\n--b--\r\n'
    response = send(browser, body, f"multipart/form-data; boundary=b; charset={charset}")
    assert response.status_code in (200, 302, 400)


@pytest.mark.parametrize("body", [b"name=%ff%fe", b"name=%ed%a0%80", b"name=%", b"name=\xff", b"name=%00", b"\x00"])
def test_bytes_that_are_no_text_are_no_error_of_ours(browser, body):
    assert send(browser, body).status_code in (200, 302, 400)


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=\xff"])
def test_a_form_in_parts_without_a_boundary_is_a_bad_request(browser, content_type):
    response = send(browser, b"x", content_type)
    assert response.status_code == 400
    assert "<title>Flasky - Bad Request</title>" in page(response)


def test_more_fields_than_allowed_are_a_bad_request(browser):
    response = send(browser, b"x=&" * 1001 + b"name=John")
    assert response.status_code == 400
    assert "<title>Flasky - Bad Request</title>" in page(response)
    assert_nothing_happened(response)
