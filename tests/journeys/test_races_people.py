"""A person who acts on mail or removes it, and whoever else changes it meanwhile: both orders of each race."""

import pytest

from flasky.mail.models import Action, OutboxMessage, State
from flasky.mail.web.actions import ActionRequest, last_action, perform
from flasky.mail.web.operations import OPERATIONS
from tests.actors import ACCEPTED, LOCKING, NOTING, POSTPONED, REFUSED, WRITING, Actor, claim, end, store

pytestmark = pytest.mark.django_db(transaction=True)


def failed():
    message = store()
    end(claim(), REFUSED)
    return message


def test_a_requeue_that_is_slower_than_another_and_the_claim_after_it_changes_nothing():
    message = failed()
    person = Actor(OutboxMessage.objects.requeue, before=LOCKING)
    assert OutboxMessage.objects.requeue() == 1
    claimed = claim()
    assert person.result() == 0
    message.refresh_from_db()
    assert (message.state, message.claim_token) == (State.SENDING, claimed.claim_token)


def test_a_worker_who_looks_before_the_requeue_is_written_finds_nothing():
    failed()
    person = Actor(OutboxMessage.objects.requeue, before=LOCKING)
    assert OutboxMessage.objects.claim(1) == []
    assert person.result() == 1
    assert len(OutboxMessage.objects.claim(1)) == 1


def test_a_requeue_that_is_slower_than_a_whole_delivery_forgets_no_acceptance():
    """Held, requeued by another, accepted for one of two, held again: the state is the one that was read."""
    store("b@example.com", "c@example.com")
    OutboxMessage.objects.hold()
    person = Actor(OutboxMessage.objects.requeue, before=LOCKING)
    OutboxMessage.objects.requeue()
    assert end(claim(), {"b@example.com": ACCEPTED, "c@example.com": POSTPONED}) == State.QUEUED
    assert OutboxMessage.objects.hold() == 1
    person.result()
    assert OutboxMessage.objects.get().remaining_recipients == ["c@example.com"], "b gets it twice, in silence"


def test_a_requeue_that_is_slower_than_the_pruning_of_the_body_sends_no_empty_mail():
    message = failed()
    person = Actor(OutboxMessage.objects.requeue, before=LOCKING)
    assert OutboxMessage.objects.prune_bodies() == 1
    assert person.result() == 0
    message.refresh_from_db()
    assert message.state == State.FAILED


def test_a_pruning_that_is_slower_than_the_requeue_removes_nothing():
    message = failed()
    bodies = Actor(OutboxMessage.objects.prune_bodies, before=WRITING)
    rows = Actor(OutboxMessage.objects.prune, before=LOCKING)
    assert OutboxMessage.objects.requeue() == 1
    assert (bodies.result(), rows.result()) == (0, 0)
    message.refresh_from_db()
    assert message.state == State.QUEUED
    assert message.content


# The other verbs


def states():
    return list(OutboxMessage.objects.order_by("pk").values_list("state", flat=True))


def noted():
    return list(Action.objects.order_by("pk").values_list("verb", "actor"))


@pytest.mark.parametrize("verb", ["hold", "cancel"])
def test_who_is_slower_than_a_claim_does_not_touch_what_is_being_sent(verb):
    message = store()
    person = Actor(getattr(OutboxMessage.objects, verb), before=LOCKING)
    claimed = claim()
    assert person.result() == 0
    message.refresh_from_db()
    assert (message.state, message.claim_token) == (State.SENDING, claimed.claim_token)
    assert noted() == []
    assert end(claimed) == State.SENT


@pytest.mark.parametrize(("verb", "state"), [("hold", State.HELD), ("cancel", State.CANCELLED)])
def test_a_claim_that_is_slower_than_a_person_takes_nothing(verb, state):
    store()
    worker = Actor(lambda: OutboxMessage.objects.claim(1), before=LOCKING)
    assert getattr(OutboxMessage.objects, verb)() == 1
    assert worker.result() == []
    assert states() == [state]


def test_a_release_that_is_slower_than_another_and_the_claim_after_it_changes_nothing():
    message = store()
    OutboxMessage.objects.hold("Ann")
    person = Actor(lambda: OutboxMessage.objects.release("Bob"), before=LOCKING)
    assert OutboxMessage.objects.release("Cem") == 1
    claimed = claim()
    assert person.result() == 0
    message.refresh_from_db()
    assert (message.state, message.claim_token) == (State.SENDING, claimed.claim_token)
    assert noted() == [("held", "Ann"), ("released", "Cem")]


@pytest.mark.parametrize(
    ("slower", "faster", "state"), [("release", "cancel", State.CANCELLED), ("hold", "cancel", State.CANCELLED)]
)
def test_of_two_who_want_different_things_the_slower_sees_what_the_faster_did(slower, faster, state):
    store()
    if slower == "release":
        OutboxMessage.objects.hold()
    person = Actor(getattr(OutboxMessage.objects, slower), before=LOCKING)
    assert getattr(OutboxMessage.objects, faster)() == 1
    assert person.result() == 0
    assert states() == [state]


def test_who_waits_for_anothers_lock_decides_by_what_it_left():
    store()
    first = Actor(lambda: OutboxMessage.objects.cancel("Ann"), before=NOTING)  # all is written but the history
    second = Actor(lambda: OutboxMessage.objects.hold("Bob"), before=LOCKING)
    second.stop.go_on()
    assert (first.result(), second.result()) == (1, 0)
    assert (states(), noted()) == ([State.CANCELLED], [("cancelled", "Ann")])


# Copies


def copying(name, message, person="Ann"):
    """Return what does one of the actions, as a person was asked before any of it was done."""
    [operation] = [operation for operation in OPERATIONS if operation.name == name]
    asked = ActionRequest(person, f"{person.lower()}@example.com", last_action())
    return lambda: perform(operation, [message.pk], asked).done


@pytest.mark.parametrize("name", ["send_again", "forward"])
def test_of_two_clicks_at_once_one_makes_a_copy(name):
    message = store()
    click = copying(name, message)
    slower = Actor(click, before=LOCKING)
    assert click() == 1
    assert slower.result() == 0
    assert OutboxMessage.objects.count() == 2
    assert message.actions.count() == 1


@pytest.mark.parametrize("name", ["send_again", "forward"])
def test_a_click_while_the_first_one_copies_makes_no_other_copy(name):
    message = store()
    click = copying(name, message)
    first, second = Actor(click, before=NOTING), Actor(click, before=LOCKING)
    second.stop.go_on()
    assert (first.result(), second.result()) == (1, 0)
    assert OutboxMessage.objects.count() == 2


def test_two_people_at_once_send_it_again_once():
    message = store()
    ann, bob = copying("send_again", message, "Ann"), copying("send_again", message, "Bob")
    slower = Actor(bob, before=LOCKING)
    assert (ann(), slower.result()) == (1, 0)
    assert noted() == [("copied", "Ann"), ("sent_again", "Ann")]


@pytest.mark.parametrize("prune", ["prune", "prune_bodies"])
@pytest.mark.parametrize("name", ["send_again", "forward"])
def test_what_is_pruned_at_the_last_moment_is_not_copied(name, prune):
    message = store()
    end(claim())
    slower = Actor(copying(name, message), before=LOCKING)
    assert getattr(OutboxMessage.objects, prune)() == 1
    assert slower.result() == 0
    assert not OutboxMessage.objects.exclude(pk=message.pk).exists()
    assert noted() == []


@pytest.mark.parametrize("name", ["send_again", "forward"])
def test_what_is_claimed_at_the_last_moment_is_copied_and_goes_its_way(name):
    message = store()
    slower = Actor(copying(name, message), before=LOCKING)
    claimed = claim()
    assert slower.result() == 1
    assert end(claimed) == State.SENT
    message.refresh_from_db()
    assert (message.state, message.attempts.count()) == (State.SENT, 1)
