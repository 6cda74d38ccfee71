"""flasky.mail.web.confirm: the question with its count, and the answer."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.core.mail import EmailMessage
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import User
from flasky.mail.models import Action, OutboxMessage, State
from flasky.mail.web import actions
from flasky.mail.web import confirm as action_pages
from tests.people import staff_user

pytestmark = pytest.mark.django_db

LIST = "/admin/flasky_mail/outboxmessage/"
ACT = f"{LIST}act/"


@pytest.fixture
def ann():
    return staff("Ann")


@pytest.fixture
def actor(ann, client):
    client.force_login(ann)
    return client


def staff(name, *permissions, email="ann@example.com"):
    return staff_user(name, *(permissions or ["change_outboxmessage", "open_outboxmessage"]), email=email)


def store(state=State.QUEUED, subject="Hi", **changes):
    email = EmailMessage(subject, "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=state, **changes)
    return email.outbox_message


def ask(client, action, *messages, **fields):
    query = fields.pop("query", "")
    return client.post(ACT + query, {"action": action, "message": [message.pk for message in messages], **fields})


def ask_for_all(client, action, query=""):
    return client.post(ACT + query, {"action": action, "scope": "all", "next": LIST + query})


def fields(page):
    """Return the form of the page that asks, as a browser sends it back."""
    form = re.search(r'<form[^>]*class="acts".*?</form>', page.content.decode(), re.DOTALL)[0]
    found = re.findall(r'<(?:input type="hidden"|button) name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found}


def confirm(client, page):
    return client.post(ACT, fields(page), follow=True)


def read(response, status=200):
    """Return what a person reads on the page."""
    assert response.status_code == status
    body = re.sub(r"(?s)<(style|script).*?</\1>", "", response.content.decode())
    return " ".join(unescape(strip_tags(body)).split())


def states():
    return list(OutboxMessage.objects.order_by("pk").values_list("state", flat=True))


# The question


def test_the_question_has_the_count_and_does_nothing(actor):
    page = ask(actor, "cancel", store(), store())
    assert "Cancel 2 messages?" in read(page)
    assert states() == [State.QUEUED, State.QUEUED]


@pytest.mark.parametrize(
    ("action", "state", "question", "effect"),
    [
        (
            "requeue",
            State.FAILED,
            "Requeue 1 message?",
            "Due at once, for the recipients who do not have the mail yet.",
        ),
        ("send_again", State.SENT, "Send 1 message again?", "All recipients get it as a new message"),
        (
            "hold",
            State.QUEUED,
            "Hold 1 message?",
            "Nobody delivers what is held until a person releases or cancels it.",
        ),
        ("release", State.HELD, "Release 1 message?", "Due at once."),
        ("cancel", State.HELD, "Cancel 1 message?", "Until it is pruned, Requeue takes this back."),
        ("forward", State.SENT, "Forward 1 message to me?", "Your address is ann@example.com."),
    ],
)
def test_each_action_says_what_it_does(actor, action, state, question, effect):
    page = ask(actor, action, store(state))
    assert question in read(page)
    assert effect in read(page)
    assert f'<button name="confirmed" value="1">{question[:-1]}</button>' in page.content.decode()


def test_the_question_says_what_is_left_out_and_why(actor):
    page = read(ask(actor, "hold", store(), store(State.SENT), store(State.SENDING), store(State.SENT)))
    assert "Hold 1 message?" in page
    assert "Left out: 1 sending, 2 sent. Only what is queued can be held." in page


def test_when_nothing_can_be_done_there_is_no_button(actor):
    page = ask(actor, "release", store())
    assert "Nothing can be done. Only what is held (and not pruned) can be released." in read(page)
    assert "confirmed" not in fields(page)
    assert f'href="{LIST}"' in page.content.decode()


def test_the_question_shows_a_few_of_them_the_newest_first(actor):
    messages = [store(subject=f"Mail {number}") for number in range(action_pages.EXAMPLES + 2)]
    page = read(ask(actor, "hold", *messages))
    assert "Mail 6 to bob@example.com, queued Mail 5" in page
    assert "Mail 2 to bob@example.com, queued and 2 more" in page
    assert "Mail 1" not in page


def test_a_subject_is_text_and_not_markup(actor):
    page = ask(actor, "hold", store(subject="<b>bold</b>"))
    assert "<b>bold" not in page.content.decode()


def test_nothing_ticked_is_said_in_a_sentence(actor):
    page = actor.post(ACT, {"action": "hold", "scope": "ticked", "next": LIST}, follow=True)
    assert "No message is ticked: tick some, or choose all that match." in read(page)


# The answer


def test_the_answer_is_given_where_the_person_came_from(actor):
    message, other = store(), store()
    page = confirm(actor, ask(actor, "hold", message, next=f"{LIST}?tab=held"))
    assert page.redirect_chain == [(f"{LIST}?tab=held", 302)]
    assert "1 held." in read(page)
    assert states() == [State.HELD, other.state]


def test_the_history_has_the_persons_name(actor):
    message = store()
    confirm(actor, ask(actor, "hold", message))
    assert "Held" in (page := read(actor.get(f"{LIST}{message.pk}/change/?tab=history")))
    assert "by Ann Details" in page


def test_what_was_left_out_of_the_question_is_left_out_of_the_answer(actor):
    queued, sending = store(), store(State.SENDING)
    page = ask(actor, "hold", queued, sending)
    OutboxMessage.objects.filter(pk=sending.pk).update(state=State.QUEUED)
    assert "1 held." in read(confirm(actor, page))
    assert states() == [State.HELD, State.QUEUED]


def test_what_changed_after_the_question_is_left_out_with_the_reason(actor):
    claimed, pruned, deleted, queued = store(), store(), store(), store()
    page = ask(actor, "hold", claimed, pruned, deleted, queued)
    OutboxMessage.objects.filter(pk=claimed.pk).update(state=State.SENDING)
    OutboxMessage.objects.filter(pk=deleted.pk).delete()
    assert "2 held. 2 left out. Only what is queued can be held." in read(confirm(actor, page))


def test_a_second_click_is_told_that_it_was_done_already(actor):
    page = ask(actor, "send_again", store(State.SENT), store(State.SENT))
    assert "2 sent again." in read(confirm(actor, page))
    assert "0 sent again. 2 were done already." in read(confirm(actor, page))
    assert OutboxMessage.objects.count() == 4


def test_a_colleague_who_is_slower_is_told_that_it_was_done_already(actor):
    colleague = Client()
    colleague.force_login(staff("Bob"))
    message = store(State.FAILED)
    first, second = ask(actor, "requeue", message), ask(colleague, "requeue", message)
    confirm(actor, first)
    OutboxMessage.objects.update(state=State.FAILED)  # at once
    assert "0 queued again. 1 was done already." in read(confirm(colleague, second))
    assert Action.objects.get().actor == "Ann"


def test_one_that_is_refused_is_named_with_its_reason(actor, settings):
    page = ask(actor, "forward", store(subject="x" * 70), store())
    settings.MAIL_MAX_SIZE = len(OutboxMessage.objects.latest("pk").content) + 1
    shown = read(confirm(actor, page))
    assert "0 forwarded to you. 2 could not be: The mail" in shown
    assert f"MAIL_MAX_SIZE allows {settings.MAIL_MAX_SIZE:,}" in shown


def test_what_is_left_is_asked_for_again_and_then_done(actor):
    messages = [store() for _ in range(actions.MOST_FORWARDED + 2)]
    page = ask(actor, "forward", *messages)
    assert "Forward 22 messages to me?" in read(page)
    assert "20 at most are done at once; then you are asked again." in read(page)
    page = confirm(actor, page)
    assert "20 forwarded to you. 2 are left: confirm again to go on." in read(page)
    assert "Forward 2 messages to me?" in read(page)
    assert "Left out" not in read(page)
    page = confirm(actor, page)
    assert "2 forwarded to you." in read(page)
    assert OutboxMessage.objects.filter(recipients=["ann@example.com"]).count() == 22


def test_what_was_refused_is_not_asked_for_again(actor, settings):
    large, *_ = [store(subject="word " * 600)] + [store() for _ in range(actions.MOST_FORWARDED)]
    page = ask(actor, "forward", *OutboxMessage.objects.all())
    large.refresh_from_db()
    settings.MAIL_MAX_SIZE = len(large.content)
    page = confirm(actor, page)
    assert "19 forwarded to you. 1 could not be: The mail" in read(page)
    assert "Forward 1 message to me?" in read(page)
    assert "1 forwarded to you." in read(confirm(actor, page))


def test_a_person_without_a_mail_address_gets_nothing_forwarded_and_is_told_why(client):
    client.force_login(staff("Bob", email=""))
    page = client.post(ACT, {"action": "forward", "message": store().pk, "next": LIST}, follow=True)
    assert "Your user has no mail address, so nothing was forwarded." in read(page)
    assert OutboxMessage.objects.count() == 1


# All that match


def test_all_that_match_is_what_the_filter_shows_on_all_its_pages(actor):
    for _ in range(51):
        store(subject="news")
    other = store(subject="other")
    page = ask_for_all(actor, "cancel", "?q=news&p=2")
    assert "Cancel 51 messages?" in read(page)
    assert "51 cancelled." in read(confirm(actor, page))
    assert list(OutboxMessage.objects.filter(state=State.QUEUED)) == [other]


def test_what_is_ticked_does_not_matter_to_all_that_match(actor):
    ticked, matching = store(State.HELD), store(State.FAILED)
    actor.post(
        ACT,
        fields(actor.post(f"{ACT}?tab=failed", {"action": "requeue", "scope": "all", "message": ticked.pk})),
    )
    assert states() == [State.HELD, State.QUEUED]
    assert matching.actions.get().actor == "Ann"


def test_what_came_after_the_question_is_not_in_the_answer(actor):
    store(State.FAILED)
    later = store()  # stored before the question, failed after it
    page = ask_for_all(actor, "requeue", "?tab=failed")
    OutboxMessage.objects.filter(pk=later.pk).update(state=State.FAILED)
    store(State.FAILED)
    assert "1 queued again." in read(confirm(actor, page))
    assert states() == [State.QUEUED, State.FAILED, State.FAILED]


def test_what_left_the_filter_after_the_question_was_counted_and_is_done(actor):
    store(created_at=timezone.now() - timedelta(minutes=59))
    page = ask_for_all(actor, "hold", "?time=1h")
    OutboxMessage.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    assert "1 held." in read(confirm(actor, page))


def test_all_of_nothing_is_nothing(actor):
    store()
    assert "Nothing can be done" in read(ask_for_all(actor, "requeue", "?tab=failed"))


def test_no_more_than_the_most_are_chosen_and_the_page_says_so(actor, monkeypatch):
    monkeypatch.setattr(action_pages, "MOST_AT_ONCE", 2)
    oldest, *_ = [store() for _ in range(3)]
    page = ask_for_all(actor, "hold")
    assert "Hold 2 messages?" in read(page)
    assert "These are among the newest 2 that match; more are not chosen at once." in read(page)
    confirm(actor, page)
    assert OutboxMessage.objects.get(state=State.QUEUED) == oldest


def test_thousands_are_answered_in_one_field(actor, monkeypatch):
    """Django reads at most 1,000 fields."""
    monkeypatch.setattr(actions, "ANSWER_AFTER", 60)
    OutboxMessage.objects.bulk_create([OutboxMessage(state=State.QUEUED, content=b"x") for _ in range(1500)])
    page = ask_for_all(actor, "hold")
    assert "Hold 1,500 messages?" in read(page)
    assert "1,500 held." in read(confirm(actor, page))


# Who


@pytest.mark.parametrize("step", ["ask", "confirm"])
def test_who_may_only_look_may_neither_ask_nor_confirm(client, step):
    client.force_login(staff("Bob", "view_outboxmessage"))
    message = store()
    data = {"action": "hold", "message": message.pk} | ({"confirmed": "1"} if step == "confirm" else {})
    assert client.post(ACT, data).status_code == 403
    assert (states(), Action.objects.count()) == ([State.QUEUED], 0)


@pytest.mark.parametrize("name", ["view_user", "delete_outboxmessage", "add_outboxmessage", "change_user"])
def test_other_permissions_are_none(client, name):
    client.force_login(staff("Bob", name))
    assert client.post(ACT, {"action": "hold", "message": store().pk, "confirmed": "1"}).status_code == 403
    assert states() == [State.QUEUED]


def test_who_lost_the_permission_after_the_question_cannot_answer(actor, ann):
    page = ask(actor, "hold", store())
    ann.user_permissions.clear()
    assert confirm(actor, page).status_code == 403
    assert states() == [State.QUEUED]


@pytest.mark.parametrize("changes", [{"is_staff": False}, {"is_active": False}])
def test_who_is_no_staff_any_more_has_to_log_in(actor, changes):
    page = ask(actor, "hold", store())
    User.objects.update(**changes)
    assert actor.post(ACT, fields(page)).url.startswith("/admin/login/")
    assert states() == [State.QUEUED]


def test_without_the_forms_token_nothing_is_done(ann):
    stranger = Client(enforce_csrf_checks=True)
    stranger.force_login(ann)
    assert stranger.post(ACT, {"action": "hold", "message": store().pk, "confirmed": "1"}).status_code == 403
    assert states() == [State.QUEUED]


# What no page of ours sends


def test_after_a_new_login_the_person_is_told_to_choose_again(actor):
    page = actor.get(ACT)
    assert "Nothing was done" in read(page, 405)
    assert page["Allow"] == "POST"
    assert f'href="{LIST}"' in page.content.decode()


def test_who_may_only_look_does_not_even_see_that_page(client):
    client.force_login(staff("Bob", "view_outboxmessage"))
    assert client.get(ACT).status_code == 403


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"action": "delete"},
        {"message": "x"},
        {"message": "-1"},
        {"message": "1,"},
        {"message": "1" * 19},
        {"message": ["1", ""], "scope": "ticked"},
        {"message": "1 OR 1=1"},
        {"last_action": "x"},
        {"last_action": "9" * 40},
        {"message": ",".join(map(str, range(actions.MOST_AT_ONCE + 1)))},
    ],
)
def test_what_makes_no_sense_is_a_bad_request(actor, data):
    store()
    data = {"confirmed": "1", "message": "1"} | ({"action": "hold"} if data else {}) | data
    assert actor.post(ACT, data).status_code == 400
    assert states() == [State.QUEUED]


def test_a_message_that_is_named_twice_counts_once(actor):
    message = store()
    page = ask(actor, "hold", message, message)
    assert "Hold 1 message?" in read(page)
    data = fields(page)
    assert "1 held." in read(actor.post(ACT, data | {"message": f"{message.pk},{message.pk}"}, follow=True))


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil.example", ""],
)
def test_nobody_is_led_to_another_site(actor, target):
    page = ask(actor, "hold", store(), next=target)
    assert fields(page)["next"] == LIST
    assert f'<a href="{LIST}">Back, change nothing</a>' in page.content.decode()
    assert actor.post(ACT, fields(page) | {"next": target}).url == LIST
