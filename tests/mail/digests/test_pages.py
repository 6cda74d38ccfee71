"""The pages of the outbox: from a gathered message to its digest, and back to each that it tells of."""

from html import unescape

import pytest
from django.utils.html import strip_tags

from flasky.mail.models import OutboxMessage, State
from tests.mail.digests.mails import make_due, send

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def debug(settings):
    settings.DEBUG = True


def page(client, message):
    """Return the part of the page that is about the message; the list stands beside it."""
    return client.get(f"/mailbox/{message.pk}/").content.decode().partition("<article")[2].partition("</article>")[0]


def read(client, message):
    return " ".join(unescape(strip_tags(page(client, message))).split())


def test_one_that_waits_says_for_what_and_how_to_send_it_now(client):
    [*_, message] = send(*"abc")
    assert "It waits for others of its kind, to be told of in one digest at" in read(client, message)


def test_one_that_was_told_of_leads_to_its_digest(client):
    messages = send(*"abcd")
    [digest] = make_due()
    text = read(client, messages[2])
    assert f"It is told of in the digest with the number {digest.pk}, which is: queued." in text
    assert f"Went into a digest: message {digest.pk}" in text
    assert page(client, messages[2]).count(f'href="/mailbox/{digest.pk}/"') == 2


def test_the_digest_leads_to_each(client):
    messages = send(*"abcd")
    [digest] = make_due()
    shown = page(client, digest)
    assert "Tells of 2 messages" in shown
    for message in messages[2:]:
        assert f'href="/mailbox/{message.pk}/"' in shown
    assert "New: c" in shown
    assert "as a digest" in shown


def test_the_eleventh_and_those_after_it_unfold(client):
    send("x", "y")
    send(*map(str, range(12)))
    [digest] = make_due()
    assert "2 more" in read(client, digest)
    assert page(client, digest).count("New: ") == 12


def test_one_whose_digest_is_gone_says_so(client):
    messages = send(*"abcd")
    [digest] = make_due()
    digest.delete()
    assert "It was told of in a digest, which does not exist any more." in read(client, messages[2])


def test_any_other_message_says_nothing_of_digests(client):
    assert "digest" not in read(client, send("a")[0]).replace("mail/flasky_mail", "").lower()


def test_the_list_has_a_tab_for_them(client, admin_client):
    send(*"abcd")
    make_due()
    shown = admin_client.get("/admin/flasky_mail/outboxmessage/?tab=gathered").content.decode()
    assert "In a digest" in shown
    assert OutboxMessage.objects.filter(state=State.GATHERED).count() == 2
