"""accounts.notification: what a visitor is told about the mail that they caused."""

import pytest
from django.db import OperationalError, connection

from accounts import notification
from accounts.models import User
from accounts.notification import notification_of
from flasky.mail import cause_of
from flasky.mail.delivery import deliver_due
from flasky.mail.models import OutboxMessage, State

pytestmark = pytest.mark.django_db
CAUSE = "accounts.user:17"


def store(state=State.QUEUED, cause=CAUSE):
    return OutboxMessage.objects.create(state=state, cause=cause, recipients=["boss@example.com"], content=b"x")


@pytest.mark.parametrize(
    ("state", "words", "is_final"),
    [
        (State.QUEUED, "is on its way", False),
        (State.SENDING, "is on its way", False),
        (State.SENT, "has been handed over to the mail server", True),
        (State.FAILED, "could not be handed over", True),
        (State.HELD, "is kept back", False),
        (State.CANCELLED, "could not be handed over", True),
    ],
)
def test_each_state_has_its_sentence(state, words, is_final):
    message = store(state)
    notification = notification_of(CAUSE)
    assert words in notification.sentence
    assert (notification.pk, notification.is_final) == (message.pk, is_final)


@pytest.mark.parametrize("state", State)
def test_no_state_is_forgotten(state):
    store(state)
    assert notification_of(CAUSE).sentence.startswith("The administrators’ notification ")


def test_the_newest_message_counts():
    store(State.FAILED)
    newest = store(State.SENT)
    assert notification_of(CAUSE).pk == newest.pk


@pytest.mark.parametrize("cause", ["accounts.user:1", "accounts.user:170", "accounts.user:", ""])
def test_nothing_is_told_of_what_somebody_else_caused(cause):
    store()
    assert notification_of(cause) is None


def test_mail_without_a_cause_is_nobodys():
    store(cause="")
    assert notification_of("") is None


def test_a_new_user_is_a_cause(settings):
    settings.FLASKY_ADMIN = ["boss@example.com"]
    ann, bob = User.objects.create(username="Ann"), User.objects.create(username="Bob")
    assert notification_of(cause_of(ann)).pk < notification_of(cause_of(bob)).pk


def test_without_an_administrator_there_is_nothing_to_tell(settings):
    settings.FLASKY_ADMIN = []
    assert notification_of(cause_of(User.objects.create(username="Ann"))) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "has been handed over"),
        ("451 4.3.0 Not now", "is on its way"),
        ("550 5.1.1 No such user", "could not be handed over"),
    ],
)
def test_what_the_relay_says_decides(relay, reply, words):
    relay.replies = {"RCPT": reply}
    user = User.objects.create(username="Ann")
    assert "is on its way" in notification_of(cause_of(user)).sentence
    deliver_due()
    assert words in notification_of(cause_of(user)).sentence


def test_it_costs_one_query_that_reads_nothing_of_the_mail(django_assert_num_queries):
    store()
    with django_assert_num_queries(1) as queries:
        notification_of(CAUSE)
    selected = queries[0]["sql"].split(" FROM ")[0]
    assert all(column not in selected for column in ("content", "subject", "recipients", "last_reply"))


def test_no_cause_costs_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        notification_of("")


def test_the_message_is_found_by_the_index():
    if connection.vendor != "sqlite":
        pytest.skip("the other databases read a small table without an index")
    newest = OutboxMessage.objects.filter(cause=CAUSE).order_by("-created_at", "-pk").values_list("pk", "state")[:1]
    assert "flasky_mail_cause" in newest.explain()
    assert "TEMP B-TREE" not in newest.explain()


def test_a_state_that_only_a_later_version_knows_is_on_its_way(client):
    """While a new version is brought out, processes of the old one still answer."""
    store("postponed")
    notification = notification_of(CAUSE)
    assert (notification.sentence, notification.is_final) == ("The administrators’ notification is on its way.", False)


def test_a_database_that_is_away_costs_the_line_and_not_the_page(monkeypatch):
    def away(cause):
        raise OperationalError("it is away")

    monkeypatch.setattr(notification, "outcome_of", away)
    assert notification_of(CAUSE) is None
