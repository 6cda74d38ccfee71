"""The quiet line about the notification: on the page, and alone for the script that keeps it current."""

import re
from html import unescape

import pytest
from django.core import signing
from django.test import Client

from accounts.models import User
from accounts.visitor import COOKIE, SALT
from flasky.mail.models import OutboxMessage, State

pytestmark = pytest.mark.django_db


def page(response):
    return unescape(response.content.decode())


def line(response):
    """Return the tag of the line and its text; nothing if there is no line."""
    found = re.search(r'(<p[^>]*id="notification"[^>]*>)(.*?)</p>', page(response))
    return found.groups() if found else ("", "")


def submit(client, name="Ann"):
    return client.post("/", {"name": name}, follow=True)


def test_a_new_name_is_answered_with_the_line(client):
    tag, text = line(submit(client))
    assert text == "The administrators’ notification is on its way."
    assert 'role="status"' in tag
    assert 'data-ask="/notification/"' in tag


def test_the_line_is_current_at_every_load(client):
    submit(client)
    OutboxMessage.objects.update(state=State.SENT)
    tag, text = line(client.get("/"))
    assert text == "The administrators’ notification has been handed over to the mail server."
    assert "data-ask" not in tag


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (State.QUEUED, [("done", "Stored"), ("now", "On its way"), ("to-come", "Accepted by the mail server")]),
        (State.SENT, [("done", "Stored"), ("done", "On its way"), ("done", "Accepted by the mail server")]),
        (State.FAILED, [("done", "Stored"), ("done", "On its way"), ("not", "Not accepted")]),
        (State.HELD, [("done", "Stored"), ("held", "Kept back"), ("to-come", "Accepted by the mail server")]),
        (State.CANCELLED, [("done", "Stored"), ("not", "Called off"), ("to-come", "Accepted by the mail server")]),
        ("bounced", [("done", "Stored"), ("now", "On its way"), ("to-come", "Accepted by the mail server")]),
    ],
)
def test_the_way_is_drawn_for_the_eye_and_hidden_from_who_hears_the_line(client, state, steps):
    submit(client)
    OutboxMessage.objects.update(state=state)
    for answer in (client.get("/"), client.get("/notification/")):
        drawn = re.search(r'<ol[^>]*id="way" aria-hidden="true">(.*?)</ol>', page(answer))[1]
        assert re.findall(r'<li class="([\w-]+)">(.*?)</li>', drawn) == steps


def test_the_script_comes_only_with_a_line_that_may_change(client):
    assert "<script" not in page(client.get("/"))
    assert re.findall(r"<script[^>]*>", page(submit(client))) == ['<script src="/static/flasky/notification.js" defer>']
    OutboxMessage.objects.update(state=State.FAILED)
    assert "<script" not in page(client.get("/"))


def test_a_known_name_takes_the_line_away(client):
    submit(client)
    assert line(submit(client)) == ("", "")
    assert client.get("/notification/").status_code == 204


def test_a_name_that_others_made_known_has_no_line(client):
    submit(Client())
    assert line(submit(client)) == ("", "")


def test_another_new_name_is_another_line(client):
    submit(client, "Ann")
    OutboxMessage.objects.update(state=State.SENT)
    assert "is on its way" in line(submit(client, "Bob"))[1]


def test_a_bad_name_leaves_the_line_of_the_one_before(client):
    submit(client)
    assert "is on its way" in line(client.post("/", {"name": ""}))[1]


def test_without_an_administrator_there_is_no_line(client, settings):
    settings.FLASKY_ADMIN = []
    assert line(submit(client)) == ("", "")
    assert client.get("/notification/").status_code == 204


def test_alone_it_is_the_same_line_and_nothing_else(client):
    shown = line(submit(client))
    response = client.get("/notification/")
    assert response.status_code == 200
    assert line(response) == shown
    assert re.fullmatch(r"<ol.*</ol>\s*<p[^>]*>[^<]*</p>", page(response).strip())
    assert response["Cache-Control"] == "no-store"
    assert "Cookie" in response["Vary"]


def test_it_shows_nothing_of_the_mail(client):
    submit(client)
    message = OutboxMessage.objects.get()
    OutboxMessage.objects.update(state=State.FAILED, last_reply="550 <admin@example.com> is unknown")
    for response in (client.get("/"), client.get("/notification/")):
        for part in ("admin@example.com", message.subject, message.message_id, "550", f"/{message.pk}/"):
            assert part not in page(response)


def test_nobody_asks_for_the_notification_of_another(client):
    submit(Client(), "Ann")
    user = User.objects.get()
    for url in (f"/notification/?cause=accounts.user:{user.pk}", f"/notification/?pk={user.pk}"):
        assert client.get(url).status_code == 204
    assert client.get(f"/notification/{user.pk}/").status_code == 404


def test_a_cookie_that_somebody_wrote_himself_tells_nothing(client):
    submit(Client(), "Ann")
    cause = f"accounts.user:{User.objects.get().pk}"
    forged = signing.dumps({"name": "Ann", "known": False, "cause": cause}, key="a guess", salt=SALT)
    client.cookies[COOKIE] = forged
    assert client.get("/notification/").status_code == 204


@pytest.mark.parametrize("state", [State.QUEUED, State.SENT])
def test_a_look_at_it_changes_no_cookie(client, state):
    submit(client)
    OutboxMessage.objects.update(state=state)
    assert not client.get("/notification/").cookies


def test_head_is_answered_without_a_body_and_nothing_else_is_allowed(client):
    submit(client)
    head = client.head("/notification/")
    assert (head.status_code, head.content) == (200, b"")
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)("/notification/").status_code == 405


def test_a_line_costs_one_query_and_no_line_none(client, django_assert_num_queries):
    for path in ("/", "/notification/"):
        with django_assert_num_queries(0):
            client.get(path)
    submit(client)
    for path in ("/", "/notification/"):
        with django_assert_num_queries(1):
            client.get(path)


def test_with_debug_the_page_leads_to_the_very_mail(client, settings):
    settings.DEBUG = True
    submit(Client(), "Ann")
    submit(client, "Bob")
    submit(Client(), "Cem")
    bobs = OutboxMessage.objects.get(cause=f"accounts.user:{User.objects.get(username='Bob').pk}")
    assert f'<a href="/mailbox/{bobs.pk}/">mailbox</a>' in page(client.get("/"))
    assert "/mailbox/" not in page(client.get("/notification/"))


def test_without_debug_the_page_leads_to_no_mail(client):
    assert "/mailbox/" not in page(submit(client))


def test_a_message_that_was_pruned_meanwhile_takes_the_line_with_it(client):
    submit(client)
    OutboxMessage.objects.all().delete()
    assert line(client.get("/")) == ("", "")
    assert client.get("/notification/").status_code == 204
