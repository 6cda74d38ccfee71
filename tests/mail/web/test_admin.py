"""flasky.mail.admin: who may look and who may act, what the list shows, and that nothing is edited."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import User
from flasky.mail import cause_of
from flasky.mail.models import OutboxMessage, Priority, RelayOutage, State

pytestmark = pytest.mark.django_db

LIST = "/admin/flasky_mail/outboxmessage/"
CHARTS = f"{LIST}charts/"


@pytest.fixture
def actor(staff):
    return staff("change_outboxmessage", "open_outboxmessage")


@pytest.fixture
def superuser(client):
    User.objects.bulk_create([User(username="root", is_staff=True, is_superuser=True)])
    client.force_login(User.objects.get(username="root"))
    return client


def store(subject="Hi", **changes):
    email = EmailMessage(subject, "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(**changes)
    return email.outbox_message


def page_of(message):
    return f"{LIST}{message.pk}/change/"


def read(response):
    """Return what a person reads on the page."""
    assert response.status_code == 200
    return " ".join(unescape(strip_tags(response.content.decode())).split())


def offered(response):
    return re.findall(r'<button name="action" value="\w+"[^>]*>(.*?)</button>', response.content.decode())


# Who


@pytest.mark.parametrize("url", [LIST, CHARTS, f"{LIST}{{}}/change/"])
def test_who_may_look_may_look(viewer, url):
    assert viewer.get(url.format(store().pk)).status_code == 200


@pytest.mark.parametrize("url", [LIST, CHARTS, f"{LIST}act/", f"{LIST}{{}}/change/", f"{LIST}{{}}/eml/"])
def test_staff_without_a_permission_get_nothing(staff, url):
    assert staff("view_user").get(url.format(store().pk)).status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    "url",
    [
        LIST,
        f"{LIST}?q=bob@example.com",
        CHARTS,
        f"{LIST}act/",
        f"{LIST}add/",
        *(f"{LIST}{{}}/{page}/" for page in ("change", "html", "eml", "attachment/1", "history", "delete")),
        f"{LIST}{{}}/",
    ],
)
def test_of_staff_without_a_permission_the_outbox_is_not_even_asked(staff, url, method):
    message, client = store(), staff("view_user")
    with CaptureQueriesContext(connection) as queries:
        response = getattr(client, method)(url.format(message.pk), {"action": "cancel", "scope": "all"})
    assert response.status_code == 403
    assert [query["sql"] for query in queries if "mail_" in query["sql"]] == []


def test_who_may_only_look_cannot_act_and_nothing_is_read_for_it(viewer):
    message = store()
    with CaptureQueriesContext(connection) as queries:
        response = viewer.post(f"{LIST}act/", {"action": "cancel", "message": message.pk, "confirmed": "1"})
    assert response.status_code == 403
    assert [query["sql"] for query in queries if "mail_" in query["sql"]] == []


@pytest.mark.parametrize(
    ("permission", "shown"), [("view_outboxmessage", 1), ("change_outboxmessage", 1), ("view_user", 0)]
)
def test_the_strip_on_the_admins_first_page_is_for_those_who_may_look(staff, permission, shown):
    assert staff(permission).get("/admin/").content.decode().count('class="overview"') == shown


def test_staff_without_a_permission_do_not_even_see_that_there_is_an_outbox(staff):
    assert LIST not in staff("view_user").get("/admin/").content.decode()


@pytest.mark.parametrize("url", [LIST, CHARTS, f"{LIST}act/", f"{LIST}1/change/"])
def test_a_stranger_has_to_log_in(client, url):
    assert client.get(url).url.startswith("/admin/login/")


def test_who_may_act_is_offered_all_actions_in_the_list(actor, settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    store()
    page = actor.get(LIST)
    labels = ["Try now", "Requeue", "Send again as new", "Hold", "Release", "Cancel", "Forward to me"]
    assert offered(page) == labels
    assert 'type="checkbox" name="message"' in page.content.decode()


@pytest.mark.parametrize(
    ("tab", "labels"),
    [
        ("failed", ["Requeue", "Send again as new", "Forward to me"]),
        ("later", ["Try now", "Send again as new", "Hold", "Cancel", "Forward to me"]),
    ],
)
def test_the_tab_of_a_state_offers_what_can_be_done_to_it(actor, settings, tab, labels):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    assert offered(actor.get(f"{LIST}?tab={tab}")) == labels


def test_when_nobody_delivers_one_button_tries_all_that_waits(actor):
    first, second = store(), store(next_attempt_at=timezone.now() + timedelta(hours=1))
    page = actor.get(LIST)
    assert offered(page)[0] == "Try now what waits"
    assert f'action="{LIST}act/?tab=queued"' in page.content.decode()
    actor.post(f"{LIST}act/?tab=queued", {"action": "try_now", "scope": "all", "confirmed": "1"})
    assert not OutboxMessage.objects.filter(next_attempt_at__gt=timezone.now()).exists()
    assert [message.actions.get().verb for message in (first, second)] == ["tried_now", "tried_now"]


def test_a_row_says_who_it_is_about_its_subject_without_the_prefix_its_kind_and_its_number(superuser):
    zoe = User.objects.get()
    message = store("[Flasky] New User", cause=cause_of(zoe), kind="mail/new_user")
    shown = read(superuser.get(LIST))
    assert f"root to bob@example.com queued just now New User mail/new_user #{message.pk}" in shown


def test_a_row_says_why_a_message_failed(viewer):
    store(state=State.FAILED, last_reply="550 5.1.1 No")
    assert "failed just now Hi user unknown 550 5.1.1 No" in read(viewer.get(LIST))


def test_a_rows_exact_time_is_in_its_title(viewer):
    moment = store(created_at=timezone.now() - timedelta(minutes=4)).created_at - timedelta(minutes=4)
    page = viewer.get(LIST).content.decode()
    assert re.search(rf'title="{moment.day} {moment:%b %Y, %H:%M}:\d\d UTC">4 min ago<', page)


def test_a_list_that_ends_says_how_to_go_on(viewer):
    assert "A mail appears here as soon as" in read(viewer.get(LIST))
    store()
    assert "That is the oldest one." in read(viewer.get(LIST))
    assert "Nothing matches. Clear filters" in read(viewer.get(f"{LIST}?q=nothing")).partition("Filters")[2][-400:]
    assert "All messages" in read(viewer.get(f"{LIST}?tab=held"))


@pytest.mark.parametrize(
    ("state", "labels"),
    [
        (State.QUEUED, ["Try now", "Send again as new", "Hold", "Cancel", "Forward to me"]),
        (State.SENDING, ["Send again as new", "Forward to me"]),
        (State.SENT, ["Send again as new", "Forward to me"]),
        (State.FAILED, ["Requeue", "Send again as new", "Forward to me"]),
        (State.HELD, ["Requeue", "Send again as new", "Release", "Cancel", "Forward to me"]),
        (State.CANCELLED, ["Requeue", "Send again as new", "Forward to me"]),
    ],
)
def test_a_messages_page_offers_what_can_be_done_to_it(actor, state, labels):
    assert offered(actor.get(page_of(store(state=state)))) == labels


def test_what_was_pruned_can_only_be_looked_at(actor):
    page = actor.get(page_of(store(state=State.FAILED, content=b"")))
    assert offered(page) == []
    assert 'class="acts"' not in page.content.decode()


def test_who_may_only_look_gets_no_action(viewer):
    message = store()
    for url in (LIST, page_of(message)):
        page = viewer.get(url)
        assert offered(page) == []
        assert 'name="message"' not in page.content.decode()


# Nothing is added, edited or deleted


@pytest.mark.parametrize("name", ["add", "delete"])
def test_nobody_adds_or_deletes(superuser, name):
    message = store()
    url = reverse(f"admin:flasky_mail_outboxmessage_{name}", args=[message.pk] if name == "delete" else [])
    assert superuser.get(url).status_code == 403
    assert superuser.post(url, {"post": "yes"}).status_code == 403
    assert OutboxMessage.objects.get() == message


@pytest.mark.parametrize("url", [LIST, f"{LIST}{{}}/change/"])
def test_nobody_edits(superuser, url):
    message = store()
    before = OutboxMessage.objects.values().get()
    data = {"subject": "x", "action": "delete_selected", "_selected_action": message.pk, "post": "yes", "_save": "Save"}
    superuser.post(url.format(message.pk), data)
    assert OutboxMessage.objects.values().get() == before


def test_no_page_has_a_field_to_edit(superuser):
    message = store("Rare subject")
    page = superuser.get(page_of(message)).content.decode()
    article = page[page.index('<article class="mail">') : page.index("</article>")]
    fields = re.findall(r"<(?:input|textarea|select)\b[^>]*>", article)
    assert fields
    assert all('type="hidden"' in field for field in fields)


# The list


def test_the_list_shows_the_newest_first_with_a_link_to_each(viewer):
    old, new = store("Old one"), store("New one")
    page = viewer.get(LIST)
    shown = read(page)
    assert shown.index("New one") < shown.index("Old one")
    assert "1 to 2 of 2 that match" in shown
    for message in (old, new):
        assert f'href="{page_of(message)}"' in page.content.decode()


def test_the_list_is_narrowed_by_its_address(viewer):
    store("Old one")
    store("New one", state=State.FAILED)
    shown = read(viewer.get(f"{LIST}?tab=failed&q=one"))
    assert "New one" in shown
    assert "Old one" not in shown


def test_the_list_says_what_overtakes_and_what_waits_while_it_matters(viewer):
    for priority in Priority:
        for state in (State.QUEUED, State.SENDING, State.HELD, State.SENT):
            store(f"{priority} one", priority=priority, state=state)
    page = viewer.get(LIST).content.decode()
    assert re.findall(r'class="badge">(\w+)<', page) == ["bulk"] * 3 + ["urgent"] * 3


def test_the_list_says_when_a_message_goes_that_is_due_later(viewer):
    later = timezone.now() + timedelta(hours=24, seconds=30)
    store("In time", next_attempt_at=later)
    store("Put off", next_attempt_at=later + timedelta(hours=1), attempt_count=1, last_reply="451 Later")
    store("Held", next_attempt_at=later + timedelta(hours=2), state=State.HELD)
    shown = read(viewer.get(LIST))
    assert re.findall(r"(?:to be sent|next try) in \d+ \w+", shown) == ["next try in 1 d", "to be sent in 1 d"]


def test_the_list_sends_an_action_the_filter_that_it_is_for(actor):
    store()
    page = actor.get(f"{LIST}?tab=queued&q=hi").content.decode()
    assert f'action="{LIST}act/?tab=queued&amp;q=hi"' in page
    assert "All 1 that match" in page


def test_a_kind_that_has_no_template_can_be_chosen_and_the_chosen_one_stays_a_choice(viewer):
    store(kind="shop/order")
    page = viewer.get(f"{LIST}?kind=shop/rare").content.decode()
    assert '<option value="shop/order">shop/order (1)</option>' in page
    assert '<option value="shop/rare" selected>shop/rare (0)</option>' in page
    assert "mail/new_user" not in page


# What people must know


def test_a_healthy_outbox_warns_of_nothing(viewer, settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    store()
    assert 'class="overview-notice"' not in viewer.get(LIST).content.decode()


@pytest.mark.parametrize("url", [LIST, CHARTS])
def test_the_strip_says_that_a_relay_takes_no_mail_since_when_and_until_when(viewer, settings, url):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    probe = timezone.now() + timedelta(seconds=30)
    RelayOutage.objects.note("relay.test:25", "relay.test refused the login <535>.", probe)
    since = RelayOutage.objects.get().since
    shown = read(viewer.get(url))
    assert f"takes no mail relay.test refused the login <535>. since {since.day} {since:%b %Y, %H:%M:%S} UTC" in shown
    assert f"next probe at {probe:%H:%M:%S} UTC" in shown


@pytest.mark.parametrize("url", [LIST, CHARTS])
def test_the_strip_says_that_nobody_delivers_and_what_to_do(viewer, url):
    store(next_attempt_at=timezone.now() - timedelta(hours=2, minutes=5))
    shown = read(viewer.get(url))
    assert "overdue" in shown
    assert "manage.py deliver_mail --loop" in shown


def test_a_warning_is_shown_once_after_an_action(actor):
    message, _ = (store(next_attempt_at=timezone.now() - timedelta(hours=2)) for _ in range(2))
    data = {"action": "hold", "message": message.pk, "confirmed": "1", "next": LIST}
    shown = read(actor.post(f"{LIST}act/", data, follow=True))
    assert "1 held." in shown
    assert shown.count("deliver_mail --loop") == 1
