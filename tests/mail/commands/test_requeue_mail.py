"""requeue_mail: which messages are queued again, which are left out, and why."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flasky.mail.management.commands import requeue_mail
from flasky.mail.models import OutboxMessage, State

pytestmark = pytest.mark.django_db


@pytest.fixture
def output(capsys):
    return lambda: capsys.readouterr().out


def store(state=State.FAILED, *recipients, age=timedelta(0), pruned=False):
    email = EmailMessage("Hi", "Hello", "ann@example.com", list(recipients) or ["bob@example.com"])
    email.send()
    message = email.outbox_message
    message.state, message.created_at = state, message.created_at - age
    message.finished_at = timezone.now() if state in State.finished() else None
    if pruned:
        message.content = b""
    message.save()
    return message


def queued():
    return set(OutboxMessage.objects.filter(state=State.QUEUED))


def test_without_arguments_all_that_failed_is_due_again(output):
    failed = {store(), store()}
    store(State.SENT), store(State.HELD), store(State.CANCELLED)
    call_command("requeue_mail")
    assert set(OutboxMessage.objects.due()) == failed == queued()
    assert output() == (
        "2 queued again.\n"
        "A running worker, or server with MAIL_DISPATCHER=threads, takes them up within 15 s; "
        "manage.py deliver_mail delivers them now.\n"
    )


def test_nothing_failed(output):
    store(State.SENT)
    call_command("requeue_mail")
    assert output() == "0 queued again.\n"


def test_a_number_names_a_message_that_failed_is_held_or_cancelled():
    named = {store(), store(State.HELD), store(State.CANCELLED)}
    store()
    call_command("requeue_mail", *(message.pk for message in named))
    assert queued() == named


def test_what_is_named_and_cannot_be_queued_is_left_out_with_the_reason(output):
    states = (State.SENT, State.SENDING, State.QUEUED, State.FAILED)
    numbers = [store(state).pk for state in states] + [store(pruned=True).pk, 999_999]
    call_command("requeue_mail", *numbers)
    shown = output().splitlines()
    assert shown[0] == "1 queued again."
    assert set(shown[1:-1]) == {
        "1 left out: sent already.",
        "1 left out: being delivered.",
        "1 left out: queued already.",
        "1 left out: the body was pruned.",
        "1 left out: not found, or ruled out by another option.",
    }


def test_states_are_chosen():
    held, cancelled = store(State.HELD), store(State.CANCELLED)
    store()
    call_command("requeue_mail", "--state", "held", "--state", "cancelled")
    assert queued() == {held, cancelled}


def test_a_number_in_another_state_than_the_chosen_is_left_out(output):
    message = store(State.HELD)
    call_command("requeue_mail", message.pk, "--state", "failed")
    assert output() == "0 queued again.\n1 left out: held.\n"


@pytest.mark.parametrize("state", ["sent", "sending", "queued", "rubbish"])
def test_other_states_cannot_be_chosen(state):
    with pytest.raises(CommandError, match=r"choose from '?failed'?, '?held'?, '?cancelled'?"):
        call_command("requeue_mail", "--state", state)


@pytest.mark.parametrize("typed", ["bob@example.com", "BOB@Example.com", "Bob <bob@example.com>"])
def test_a_recipient_is_found_among_several_and_only_as_a_whole(typed):
    found = store(State.FAILED, "eve@example.com", "Bob@example.com")
    store(State.FAILED, "notbob@example.com")
    call_command("requeue_mail", "--to", typed)
    assert queued() == {found}


def test_a_recipient_is_looked_up_and_not_searched_in_every_message():
    with CaptureQueriesContext(connection) as queries:
        call_command("requeue_mail", "--to", "bob@example.com")
    [chosen] = [query["sql"] for query in queries if "SELECT" in query["sql"]]
    assert "recipients" not in chosen
    if connection.vendor == "sqlite":
        plan = OutboxMessage.objects.to("bob@example.com").explain()
        assert "flasky_mail_recipient" in plan
        assert "flasky_mail_further_recipient" in plan
        assert "SCAN" not in plan


@pytest.mark.django_db(transaction=True)
def test_whoever_delivers_is_woken(settings):
    message = store()
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"  # it delivers at once when it is woken
    call_command("requeue_mail", "--dry-run")
    assert OutboxMessage.objects.get(pk=message.pk).state == State.FAILED
    call_command("requeue_mail")
    assert OutboxMessage.objects.get(pk=message.pk).state == State.SENT


@pytest.mark.parametrize(
    ("options", "ages"),
    [
        (["--newer-than", "90m"], {1}),
        (["--newer-than", "12h"], {1, 5}),
        (["--older-than", "2h"], {5, 50}),
        (["--older-than", "2d"], {50}),
        (["--older-than", "2h", "--newer-than", "1d"], {5}),
    ],
)
def test_the_age_is_chosen(options, ages):
    stored = {hours: store(age=timedelta(hours=hours)) for hours in (1, 5, 50)}
    call_command("requeue_mail", *options)
    assert queued() == {stored[hours] for hours in ages}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--newer-than", "yesterday"], "'yesterday' is no age: write 90m, 12h or 3d for minutes, hours or days"),
        (["--older-than", "3"], "'3' is no age"),
        (["--older-than", "9" * 9 + "d"], "is no age"),
        (["--to", "bob"], "'bob' is not a mail address"),
        (["first"], "'first' is no number of a message"),
    ],
)
def test_rubbish_is_answered_with_a_sentence(arguments, sentence):
    message = store()
    with pytest.raises(CommandError, match=sentence):
        call_command("requeue_mail", *arguments)
    assert OutboxMessage.objects.get(pk=message.pk).state == State.FAILED


def test_a_dry_run_counts_only(output):
    store(), store(pruned=True)
    call_command("requeue_mail", "--dry-run")
    assert output() == "1 would be queued again.\n1 left out: the body was pruned.\n"
    assert not queued()


def test_many_are_queued_in_batches(monkeypatch):
    monkeypatch.setattr(requeue_mail, "BATCH", 2)
    for _ in range(5):
        store()
    call_command("requeue_mail")
    assert len(queued()) == 5


def test_a_state_that_only_a_later_version_knows_is_named(output):
    message = store("bounced")
    call_command("requeue_mail", str(message.pk))
    assert output() == "0 queued again.\n1 left out: bounced.\n"


@pytest.mark.parametrize("number", ["9" * 19, "9" * 25, "1.5", "²"])
def test_a_number_that_no_message_can_have_is_refused(number):
    with pytest.raises(CommandError, match="is no number of a message"):
        call_command("requeue_mail", number)
