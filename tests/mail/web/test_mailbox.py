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


@pytest.mark.parametrize("path", ["", *PARTS])
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
    assert 'name="action"' not in page.partition("<main")[2]  # who looks is not logged in: there is nothing to act with
    for path in PARTS[1:]:
        assert client.get("/mailbox/" + path.format(message.pk)).status_code == 200


def test_what_people_write_is_escaped_on_the_pages(client, debug):
    message = store(subject="<script>alert(1)</script>")
    for path in ("", f"{message.pk}/"):
        page = client.get(f"/mailbox/{path}").content.decode()
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page


def test_the_newest_is_open_beside_the_list(client, debug):
    old, new = store("Older mail"), store("Newer mail")
    page = client.get("/mailbox/").content.decode()
    assert f'src="/mailbox/{new.pk}/html/"' in page
    assert f'<a href="/mailbox/{new.pk}/" aria-current="true">' in page
    opened = client.get(f"/mailbox/{old.pk}/").content.decode()
    assert f'src="/mailbox/{old.pk}/html/"' in opened
    assert f'<a href="/mailbox/{old.pk}/" aria-current="true">' in opened
    assert "Newer mail" in opened


def test_the_list_beside_a_message_is_the_one_that_one_came_from(client, debug):
    chosen, _other = store("Chosen mail"), store("Another mail")
    page = client.get("/mailbox/?q=chosen").content.decode()
    assert f'href="/mailbox/{chosen.pk}/?list=q%3Dchosen"' in page
    opened = client.get(f"/mailbox/{chosen.pk}/?list=q%3Dchosen").content.decode()
    assert "Another mail" not in opened
    assert 'value="chosen"' in opened


def test_it_has_nothing_that_only_an_operator_needs(client, debug):
    store()
    OutboxMessage.objects.update(next_attempt_at=timezone.now() - timedelta(hours=2))
    RelayOutage.objects.note("relay.test:25", "It was away.", timezone.now())
    page = client.get("/mailbox/").content.decode()
    assert [name for name in ("overview", "tabs", "charts", "toolbar", "tick") if f'class="{name}"' in page] == ["tabs"]
    assert page.count('class="tabs"') == 1  # the parts of the open mail


@pytest.mark.parametrize("path", ["", *PARTS])
def test_it_can_only_be_read(client, debug, path):
    assert client.post("/mailbox/" + path.format(store().pk)).status_code == 405
