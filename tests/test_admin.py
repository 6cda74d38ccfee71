"""flasky.mail.admin: the outbox, what it warns of, and what may be done to its messages."""

from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import User
from flasky.mail.models import Attempt, OutboxMessage, RelayTrouble, State

pytestmark = pytest.mark.django_db

MESSAGES = "/admin/mail/outboxmessage/"


@pytest.fixture
def staff(client):
    """Log in somebody with these permissions; return the client."""

    def log_in(*permissions):
        User.objects.bulk_create([User(username="Ann", is_staff=True)])
        user = User.objects.get(username="Ann")
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def actor(staff):
    return staff("change_outboxmessage")


def store(state=State.QUEUED, **changes):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=state, **changes)
    return email.outbox_message


def read(response):
    """Return what a person reads on the page."""
    assert response.status_code == 200
    return " ".join(unescape(strip_tags(response.content.decode())).split())


def act(client, action, *messages, query="", follow=True):
    chosen = {"action": action, "_selected_action": [message.pk for message in messages], "index": "0"}
    return client.post(MESSAGES + query, chosen, follow=follow)


def states():
    return list(OutboxMessage.objects.order_by("pk").values_list("state", flat=True))


# What people must know


def test_a_healthy_outbox_warns_of_nothing(actor):
    store()
    assert "messagelist" not in actor.get(MESSAGES).content.decode()


def test_the_list_says_that_a_relay_takes_no_mail_since_when_and_until_when(actor):
    probe = timezone.now() + timedelta(seconds=30)
    RelayTrouble.objects.note("relay.test:25", "relay.test refused the login <535>.", probe)
    trouble = RelayTrouble.objects.get()
    shown = read(actor.get(MESSAGES))
    assert f"Mail has waited since {trouble.since:%Y-%m-%d %H:%M:%S} UTC: relay.test refused the login <535>." in shown
    assert f"Next probe at {probe:%H:%M:%S} UTC." in shown


def test_the_list_says_that_nobody_delivers_and_what_to_do(actor):
    store(next_attempt_at=timezone.now() - timedelta(hours=2, minutes=5))
    shown = read(actor.get(MESSAGES))
    assert "1 message is overdue, the oldest by 2 hours. Nobody delivers, or not fast enough." in shown
    assert "manage.py deliver_mail --loop" in shown


def test_a_warning_is_shown_once_after_an_action(actor):
    message = store(next_attempt_at=timezone.now() - timedelta(hours=2))
    other = store(next_attempt_at=timezone.now() - timedelta(hours=2))
    shown = read(act(actor, "hold", message))
    assert shown.count("overdue") == 1
    assert "1 held." in shown
    assert states() == [State.HELD, other.state]


# The page of a message


def test_the_history_shows_each_attempt_with_all_that_is_known(actor):
    message = store()
    message.attempts.create(
        started_at=timezone.now().replace(2026, 5, 4, 13, 2, 1),
        seconds=1.2345,
        outcome=Attempt.Outcome.POSTPONED,
        reply="451 4.3.0 Not now",
        server="relay.test:587",
        secured=True,
        logged_in=False,
        worker="host 12 mail_0",
    )
    shown = read(actor.get(f"{MESSAGES}{message.pk}/change/"))
    assert "2026-05-04 13:02:01 UTC 1.23 s refused for now 451 4.3.0 Not now" in shown
    assert "relay.test:587encrypted, no login host 12 mail_0" in shown  # on two lines


def test_the_history_invents_nothing_about_a_holder_who_died(actor):
    message = store()
    message.attempts.create(outcome=Attempt.Outcome.UNKNOWN, reply="Nothing was heard.", worker="host 12 mail_0")
    assert "– unknown Nothing was heard. – host 12 mail_0" in read(actor.get(f"{MESSAGES}{message.pk}/change/"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"state": State.HELD}, "Held: nobody delivers it until a person requeues or cancels it."),
        ({"possible_duplicate": True}, "It may arrive twice: a process died, or the connection broke"),
    ],
)
def test_what_the_state_does_not_say_is_said_in_a_sentence(actor, changes, sentence):
    message = store(**changes)
    assert sentence in read(actor.get(f"{MESSAGES}{message.pk}/change/"))


def test_a_pruned_body_is_explained(actor):
    ended = timezone.now().replace(2026, 5, 4)
    message = store(State.SENT, content=b"", finished_at=ended)
    assert "The body was pruned after 2026-05-04" in read(actor.get(f"{MESSAGES}{message.pk}/change/"))


# Actions


def test_requeue_queues_again_and_wakes_whoever_delivers(actor, relay, settings, django_capture_on_commit_callbacks):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    message = store(State.FAILED)
    with django_capture_on_commit_callbacks(execute=True):
        shown = read(act(actor, "requeue", message))
    assert "1 queued again." in shown
    assert states() == [State.SENT]
    assert len(relay.mails) == 1


def test_hold_keeps_back_and_cancel_gives_up(actor):
    held, cancelled = store(), store(State.HELD)
    assert "1 held." in read(act(actor, "hold", held))
    assert "1 cancelled." in read(act(actor, "cancel", cancelled))
    assert states() == [State.HELD, State.CANCELLED]


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        ("requeue", "0 queued again, 2 left out: only what is failed, held or cancelled, and not pruned can be."),
        ("hold", "0 held, 2 left out: only what is queued can be."),
        ("cancel", "0 cancelled, 2 left out: only what is queued or held can be."),
    ],
)
def test_what_is_sent_or_on_the_wire_is_left_alone(actor, action, sentence):
    messages = store(State.SENT), store(State.SENDING)
    assert sentence in read(act(actor, action, *messages))
    assert states() == [State.SENT, State.SENDING]


def test_the_count_is_right_in_a_list_of_one_state(actor):
    messages = store(State.FAILED), store(State.FAILED)
    assert "2 queued again." in read(act(actor, "requeue", *messages, query="?state__exact=failed"))


def test_who_may_only_look_gets_no_action(staff):
    message = store(State.FAILED)
    viewer = staff("view_outboxmessage")
    assert 'name="action"' not in viewer.get(MESSAGES).content.decode()
    act(viewer, "requeue", message)
    assert states() == [State.FAILED]


def test_who_may_act_still_cannot_edit(actor):
    message = store()
    page = actor.get(f"{MESSAGES}{message.pk}/change/").content.decode()
    assert 'name="_save"' not in page
    assert actor.post(f"{MESSAGES}{message.pk}/change/", {"subject": "x"}).status_code == 403
