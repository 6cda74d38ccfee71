"""flasky.mail.web.mailbox: the development mailbox. What a message's page shows is tested in test_message.py."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from flasky.mail.models import OutboxMessage, RelayOutage
from flasky.mail.web.search import PER_PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


def store(subject="Hi"):
    email = EmailMultiAlternatives(subject, "Hello text", "Ann <ann@example.com>", ["b@example.com"])
    email.attach_alternative("<p>Hello <b>HTML</b></p>", "text/html")
    email.attach("a.txt", "attached", "text/plain")
    email.send()
    return email.outbox_message


PARTS = ["{}/", "{}/html/", "{}/eml/", "{}/attachment/1/"]


@pytest.mark.parametrize("path", ["", "charts/", *PARTS])
def test_without_debug_there_is_no_mailbox(client, path):
    assert client.get("/mailbox/" + path.format(store().pk)).status_code == 404


@pytest.mark.parametrize("path", PARTS)
def test_a_message_that_does_not_exist_is_not_found(client, debug, path):
    for number in (4711, 10**30):
        assert client.get("/mailbox/" + path.format(number)).status_code == 404


def test_an_empty_mailbox_says_what_to_do(client, debug):
    assert "No mail yet" in client.get("/mailbox/").content.decode()


def test_an_empty_tab_does_not_say_that_there_is_no_mail(client, debug):
    store()
    assert "No mail yet" not in client.get("/mailbox/?tab=failed").content.decode()


def test_the_list_has_the_newest_first(client, debug):
    store("Older mail")
    store("Newer mail")
    page = client.get("/mailbox/").content.decode()
    assert page.index("Newer mail") < page.index("Older mail")


def test_a_long_list_has_pages(client, debug):
    for number in range(PER_PAGE + 1):
        store(f"Mail number {number}.")
    assert "Mail number 0." not in client.get("/mailbox/").content.decode()
    assert "Mail number 0." in client.get("/mailbox/?p=2").content.decode()
    assert client.get("/mailbox/?p=rubbish").status_code == 200


def test_a_message_has_a_page_with_links_to_its_parts(client, debug):
    message = store()
    page = client.get(f"/mailbox/{message.pk}/").content.decode()
    assert f'src="/mailbox/{message.pk}/html/"' in page
    assert f'href="/mailbox/{message.pk}/eml/"' in page
    assert 'href="/mailbox/"' in page
    assert "<button" not in page.partition("<main")[2]  # who looks is not logged in: there is nothing to act with
    for path in PARTS[1:]:
        assert client.get("/mailbox/" + path.format(message.pk)).status_code == 200


def test_what_people_write_is_escaped_on_the_pages(client, debug):
    message = store(subject="<script>alert(1)</script>")
    for path in ("", f"{message.pk}/"):
        page = client.get(f"/mailbox/{path}").content.decode()
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page


def test_the_list_says_that_a_relay_takes_no_mail_and_that_mail_is_overdue(client, debug):
    assert "Mail waits" not in client.get("/mailbox/").content.decode()
    store()
    OutboxMessage.objects.update(next_attempt_at=timezone.now() - timedelta(hours=2))
    RelayOutage.objects.note("relay.test:25", "relay.test <refused> the login.", timezone.now())
    page = client.get("/mailbox/").content.decode()
    assert "relay.test &lt;refused&gt; the login." in page
    assert "1 message is overdue, the oldest by 2 hours." in page


@pytest.mark.parametrize("path", ["", "charts/", *PARTS])
def test_it_can_only_be_read(client, debug, path):
    assert client.post("/mailbox/" + path.format(store().pk)).status_code == 405


def test_a_kind_that_has_no_template_can_be_chosen_and_the_chosen_one_stays_a_choice(client, debug):
    OutboxMessage.objects.filter(pk=store().pk).update(kind="shop/order")
    page = client.get("/mailbox/?kind=shop/rare").content.decode()
    assert '<option value="shop/order">shop/order</option>' in page
    assert '<option value="shop/rare" selected>shop/rare</option>' in page
    assert "mail/new_user" not in page
