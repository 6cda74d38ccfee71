"""flasky.mail.views: the development mailbox."""

import pytest
from django.core.mail import EmailMultiAlternatives

from flasky.mail.models import Attempt
from flasky.mail.views import PER_PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


def store(subject="Hi", html="<p>Hello <b>HTML</b></p>"):
    email = EmailMultiAlternatives(subject, "Hello text", "Ann <ann@example.com>", ["b@example.com"])
    if html:
        email.attach_alternative(html, "text/html")
    email.send()
    return email.outbox_message


@pytest.mark.parametrize("path", ["", "{}/", "{}/html/", "{}/source/"])
def test_without_debug_there_is_no_mailbox(client, path):
    assert client.get("/mailbox/" + path.format(store().pk)).status_code == 404


@pytest.mark.parametrize("path", ["1/", "1/html/", "1/source/"])
def test_a_message_that_does_not_exist_is_not_found(client, debug, path):
    assert client.get(f"/mailbox/{path}").status_code == 404


def test_an_empty_mailbox_says_what_to_do(client, debug):
    assert "No mail yet" in client.get("/mailbox/").content.decode()


def test_the_list_has_the_newest_first(client, debug):
    store("Older mail")
    store("Newer mail")
    page = client.get("/mailbox/").content.decode()
    assert page.index("Newer mail") < page.index("Older mail")


def test_a_long_list_has_pages(client, debug):
    for number in range(PER_PAGE + 1):
        store(f"Mail number {number}.")
    assert "Mail number 0." not in client.get("/mailbox/").content.decode()
    assert "Mail number 0." in client.get("/mailbox/?page=2").content.decode()
    assert client.get("/mailbox/?page=rubbish").status_code == 200


def test_a_message_shows_text_headers_history_and_links_to_the_rest(client, debug):
    message = store()
    Attempt.objects.create(message=message, outcome="refused for now", reply="451 4.3.0 Not now", server="relay:25")
    page = client.get(f"/mailbox/{message.pk}/").content.decode()
    for part in ("Hello text", "Message-ID", message.message_id.strip("<>"), "451 4.3.0 Not now", "relay:25"):
        assert part in page
    assert f'src="/mailbox/{message.pk}/html/"' in page
    assert f'href="/mailbox/{message.pk}/source/"' in page


def test_a_mail_without_html_has_no_frame(client, debug):
    assert "<iframe" not in client.get(f"/mailbox/{store(html='').pk}/").content.decode()


def test_the_text_is_escaped_on_the_page(client, debug):
    page = client.get(f"/mailbox/{store(subject='<script>alert(1)</script>').pk}/").content.decode()
    assert "<script>" not in page


def test_the_html_body_stands_alone_in_a_policy_that_allows_nothing(client, debug):
    response = client.get(f"/mailbox/{store(html='<script>alert(1)</script>').pk}/html/")
    assert response.content.decode() == "<script>alert(1)</script>"
    policy = response["Content-Security-Policy"].split("; ")
    assert {"sandbox", "default-src 'none'"} < set(policy)
    assert not any(directive.startswith(("script-src", "connect-src", "form-action")) for directive in policy)
    assert response["X-Frame-Options"] == "SAMEORIGIN"


def test_the_source_is_plain_text_to_the_byte(client, debug):
    message = store()
    response = client.get(f"/mailbox/{message.pk}/source/")
    assert response.content == bytes(message.content)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_it_can_only_be_read(client, debug):
    assert client.post("/mailbox/").status_code == 405
