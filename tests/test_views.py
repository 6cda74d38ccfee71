"""flasky.mail.views: the development mailbox."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from flasky.mail.models import Attempt, OutboxMessage, RelayTrouble
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
    for part in (
        "Hello text",
        "Message-ID",
        message.message_id.strip("<>"),
        "451 4.3.0 Not now",
        "relay:25",
        "no login",
    ):
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


def prune(message):
    changes = {"state": "sent", "content": b"", "finished_at": timezone.now().replace(2026, 5, 4)}
    OutboxMessage.objects.filter(pk=message.pk).update(**changes)


def test_the_page_of_a_message_says_that_its_body_was_pruned(client, debug):
    message = store()
    prune(message)
    page = client.get(f"/mailbox/{message.pk}/").content.decode()
    assert "The body was pruned after 2026-05-04" in page
    assert "No attempt yet." in page
    for empty in ("no plain text", "<iframe", "/source/", "#text"):
        assert empty not in page


@pytest.mark.parametrize("part", ["html", "source"])
def test_what_was_pruned_is_gone(client, debug, part):
    message = store()
    prune(message)
    response = client.get(f"/mailbox/{message.pk}/{part}/")
    assert response.status_code == 410
    assert response.content.decode().startswith("The body was pruned after 2026-05-04")


def test_the_list_says_that_a_relay_takes_no_mail_and_that_mail_is_overdue(client, debug):
    assert "Mail waits" not in client.get("/mailbox/").content.decode()
    store()
    OutboxMessage.objects.update(next_attempt_at=timezone.now() - timedelta(hours=2))
    RelayTrouble.objects.note("relay.test:25", "relay.test <refused> the login.", timezone.now())
    page = client.get("/mailbox/").content.decode()
    assert "relay.test &lt;refused&gt; the login." in page
    assert "1 message is overdue, the oldest by 2 hours." in page


def test_what_is_held_or_may_arrive_twice_is_explained(client, debug):
    message = store()
    OutboxMessage.objects.update(state="held", possible_duplicate=True)
    page = client.get(f"/mailbox/{message.pk}/").content.decode()
    assert "Held: nobody delivers it until a person requeues or cancels it." in page
    assert "It may arrive twice" in page


def test_it_can_only_be_read(client, debug):
    assert client.post("/mailbox/").status_code == 405
