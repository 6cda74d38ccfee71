"""flasky.mail.web.opening: who may see what a message says, what is noted of it, and what nobody is shown."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMultiAlternatives

from flasky.mail.models import Action, OutboxMessage, State

pytestmark = pytest.mark.django_db

ADMIN, MAILBOX = "/admin/flasky_mail/outboxmessage/", "/mailbox/"
PARTS = ["html/", "html-with-remote/", "eml/", "attachment/1/"]
TABS = ["", "?tab=html", "?tab=text", "?tab=headers", "?tab=source", "?tab=attachments"]
SECRET = "opensesame"


def store(kind="", state=State.FAILED, **changes):
    email = EmailMultiAlternatives("Hi", SECRET, "ann@example.com", ["bob@example.com"], headers={"X-Is": SECRET})
    email.attach_alternative(f"<p>{SECRET}</p>", "text/html")
    email.attach(f"{SECRET}.txt", SECRET, "text/plain")
    email.kind = kind
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=state, **changes)
    return email.outbox_message


def pages(message):
    return [f"{ADMIN}{message.pk}/change/{tab}" for tab in TABS]


def openings():
    return list(Action.objects.filter(verb=Action.Verb.OPENED).values_list("message", "actor"))


@pytest.mark.parametrize("permission", ["view_outboxmessage", "change_outboxmessage"])
def test_seeing_that_a_message_exists_is_not_opening_it(staff, permission):
    client, message = staff(permission), store()
    for page in pages(message):
        response = client.get(page)
        assert response.status_code == 200
        assert SECRET not in response.content.decode()
        assert "for that you need the permission to open messages" in response.content.decode()
        assert "bob@example.com" in response.content.decode()
    assert [client.get(f"{ADMIN}{message.pk}/{part}").status_code for part in PARTS] == [403] * 4
    assert openings() == []


def test_the_permission_alone_shows_nothing(staff):
    client, message = staff("open_outboxmessage"), store()
    assert [client.get(f"{ADMIN}{message.pk}/{part}").status_code for part in ["change/", *PARTS]] == [403] * 5


@pytest.mark.parametrize("path", ["change/", *PARTS])
def test_each_opening_is_in_the_history_with_the_name(viewer, path):
    message = store()
    assert viewer.get(f"{ADMIN}{message.pk}/{path}").status_code == 200
    assert openings() == [(message.pk, "Ann")]
    history = viewer.get(f"{ADMIN}{message.pk}/change/?tab=history").content.decode()
    assert "Opened" in history
    assert "by Ann" in history


def test_what_one_person_looks_at_within_ten_minutes_is_one_opening(viewer):
    message = store()
    for page in [*pages(message), f"{ADMIN}{message.pk}/eml/"]:
        viewer.get(page)
    assert len(openings()) == 1
    Action.objects.update(at=message.created_at - timedelta(minutes=11))
    viewer.get(pages(message)[0])
    assert len(openings()) == 2


def test_the_history_alone_opens_nothing(viewer):
    viewer.get(f"{ADMIN}{store().pk}/change/?tab=history")
    assert openings() == []


def test_what_is_sensitive_is_shown_to_nobody(client, staff, settings):
    settings.DEBUG = True
    message = store("password_reset")
    staff("view_outboxmessage", "change_outboxmessage", "open_outboxmessage")
    shown = [*pages(message), *(f"{MAILBOX}{message.pk}/{tab}" for tab in TABS)]
    for page in shown:
        response = client.get(page)
        assert response.status_code == 200
        assert SECRET not in response.content.decode()
        assert "It is sensitive: nobody is shown what it says" in response.content.decode()
    for part in PARTS:
        for response in (client.get(f"{root}{message.pk}/{part}") for root in (ADMIN, MAILBOX)):
            assert response.status_code == 403
            assert SECRET not in response.content.decode()
    assert openings() == []


def act(client, action, message):
    fields = {"action": action, "message": message.pk, "confirmed": "1", "last_action": "0"}
    return client.post(f"{ADMIN}act/", fields, follow=True)


def test_what_is_sensitive_is_not_forwarded(staff):
    client, message = staff("change_outboxmessage", "open_outboxmessage"), store("error")
    user = client.get(ADMIN).wsgi_request.user
    user.email = "ann@example.com"
    user.save()
    page = client.get(f"{ADMIN}{message.pk}/change/").content.decode()
    assert 'value="forward"' not in page
    assert 'value="requeue"' in page
    assert (
        "Only what is not pruned and not sensitive can be forwarded" in act(client, "forward", message).content.decode()
    )
    assert OutboxMessage.objects.count() == 1


def test_nobody_forwards_who_may_not_open(staff):
    client, message = staff("change_outboxmessage"), store()
    assert 'value="forward"' not in client.get(f"{ADMIN}{message.pk}/change/").content.decode()
    assert act(client, "forward", message).status_code == 403


def test_what_was_dropped_says_why_it_cannot_be_sent_again(viewer, settings):
    settings.DEBUG = True
    message = store("password_reset", State.SENT, content=b"")
    for page in (pages(message)[0], f"{MAILBOX}{message.pk}/"):
        shown = viewer.get(page).content.decode()
        assert "its body was dropped as soon as it was sent, so it cannot be sent again" in shown
        assert 'value="send_again"' not in shown
