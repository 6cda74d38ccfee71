"""prune_mail: two clocks, and nothing that is not finished."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.utils import timezone

from flasky.mail.models import Attempt, OutboxMessage, OutboxMessageQuerySet, State

pytestmark = pytest.mark.django_db


@pytest.fixture
def output(capsys):
    return lambda: capsys.readouterr().out


def store(days, state=State.SENT):
    """Store a message that came into its state `days` ago."""
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    message, then = email.outbox_message, timezone.now() - timedelta(days=days)
    message.state, message.created_at, message.next_attempt_at = state, then, then
    message.finished_at = then if message.is_finished else None
    message.save()
    message.attempts.create(outcome=Attempt.Outcome.ACCEPTED)
    return message


def kept():
    """Return for each row whether it has a body."""
    return {message: not message.is_pruned for message in OutboxMessage.objects.all()}


def test_bodies_go_after_14_days_and_rows_with_their_history_after_90(output):
    young, middle, old = store(13), store(15), store(91)
    call_command("prune_mail")
    assert kept() == {young: True, middle: False}
    assert set(Attempt.objects.values_list("message", flat=True)) == {young.pk, middle.pk}
    assert not OutboxMessage.objects.filter(pk=old.pk).exists()
    assert output() == "1 messages and the bodies of 1 others removed.\n"


def test_what_is_kept_beside_a_body_goes_with_it():
    store(15)
    OutboxMessage.objects.update(as_given={"subject": "Grüße"})
    call_command("prune_mail")
    assert OutboxMessage.objects.get().as_given is None


def test_both_clocks_can_be_set():
    young, middle = store(2), store(4)
    store(6)
    call_command("prune_mail", "--bodies", "3", "--days", "5")
    assert kept() == {young: True, middle: False}


def test_zero_days_take_all_that_is_finished():
    store(1)
    call_command("prune_mail", days=0)
    assert kept() == {}


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_what_ended_without_success_is_pruned_too(state):
    message = store(15, state)
    store(91, state)
    call_command("prune_mail")
    assert kept() == {message: False}


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING, State.HELD])
def test_what_is_not_finished_stays_however_old(state, output):
    message = store(1000, state)
    call_command("prune_mail")
    assert kept() == {message: True}
    assert output() == "0 messages and the bodies of 0 others removed.\n"


def test_a_dry_run_counts_the_same_and_removes_nothing(output):
    for days in (1, 15, 16, 91):
        store(days)
    call_command("prune_mail", "--dry-run")
    assert output() == "1 messages and the bodies of 2 others would be removed.\n"
    assert all(kept().values())
    assert len(kept()) == 4


def test_a_second_run_finds_nothing(output):
    store(15)
    call_command("prune_mail")
    output()
    call_command("prune_mail")
    assert output() == "0 messages and the bodies of 0 others removed.\n"


def test_many_go_in_batches(monkeypatch, output):
    monkeypatch.setattr("flasky.mail.models.batches.BATCH", 2)
    for days in [15] * 5 + [91] * 5:
        store(days)
    call_command("prune_mail")
    assert output() == "5 messages and the bodies of 5 others removed.\n"
    assert list(kept().values()) == [False] * 5


def test_what_was_requeued_after_it_was_picked_stays(monkeypatch):
    message = store(91, State.FAILED)
    picked = OutboxMessage.objects.finished_before(timezone.now())
    monkeypatch.setattr(OutboxMessageQuerySet, "_batches", lambda self: [[message.pk]])
    OutboxMessage.objects.filter(pk=message.pk).update(state=State.QUEUED)
    assert (picked.prune(), picked.prune_bodies()) == (0, 0)
    assert kept() == {message: True}


def test_what_was_pruned_after_it_was_read_is_not_queued():
    store(15, State.FAILED)
    call_command("prune_mail")
    assert OutboxMessage.objects.requeue() == 0


@pytest.mark.parametrize("option", ["--days", "--bodies"])
@pytest.mark.parametrize("value", ["-1", "two", "1.5", "", "99999999999", "²"])
def test_a_bad_number_is_answered_with_a_sentence(option, value):
    message = store(91)
    with pytest.raises(
        CommandError, match=rf"^{option} is '.*'; it must be a whole number of days, from 0 to 36500\.$"
    ):
        call_command("prune_mail", f"{option}={value}")
    assert kept() == {message: True}
