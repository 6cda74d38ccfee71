"""Two claimers, or one and a person, who want the same message: both orders of each race."""

import pytest
from django.db import connection

from flasky.mail.models import OutboxMessage, State
from tests.actors import LOCKING, WRITING, Actor, claim, store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[True, False], ids=["skip locked", "no locks"])
def locks(request, monkeypatch):
    """Whether a claimer locks the rows that it has picked: also try without, as some databases must."""
    features = type(connection.features)
    if request.param and not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database has no SKIP LOCKED")
    monkeypatch.setattr(features, "has_select_for_update_skip_locked", request.param)
    return request.param


def test_two_claimers_at_once_do_not_get_the_same_message(locks):
    message = store()
    first = Actor(lambda: OutboxMessage.objects.claim(1, "first"), before=WRITING)
    second = Actor(lambda: OutboxMessage.objects.claim(1, "second"))
    quick = second.result()  # nobody waits for anybody
    slow = first.result()
    assert [len(quick), len(slow)] == ([0, 1] if locks else [1, 0])
    [winner] = quick + slow
    message.refresh_from_db()
    assert (message.claim_token, message.claimed_by) == (winner.claim_token, winner.claimed_by)


def test_two_claimers_at_once_get_two_messages_where_rows_can_be_locked(locks):
    store(), store()
    first = Actor(lambda: OutboxMessage.objects.claim(1, "first"), before=WRITING)
    second = Actor(lambda: OutboxMessage.objects.claim(1, "second"))
    # MariaDB may look for the second row by its state, and then waits until the first claim is over.
    in_order = (first, second) if connection.vendor == "mysql" else (second, first)
    claimed = [message for claimer in in_order for message in claimer.result()]
    assert len({message.pk for message in claimed}) == len(claimed)
    if locks or connection.vendor == "sqlite":
        assert len(claimed) == 2


def test_a_claim_of_several_leaves_out_what_a_quicker_one_has_taken(locks):
    """Where it has locked the rows it is not slower, and the other gets what is left."""
    store(), store(), store()
    first = Actor(lambda: OutboxMessage.objects.claim(2, "first"), before=WRITING)
    second = Actor(lambda: OutboxMessage.objects.claim(1, "second"))
    in_order = (first, second) if connection.vendor == "mysql" and locks else (second, first)
    claimed = [message.pk for claimer in in_order for message in claimer.result()]
    assert sorted(claimed) == sorted(OutboxMessage.objects.filter(state=State.SENDING).values_list("pk", flat=True))
    assert len(claimed) >= 2


@pytest.mark.parametrize("verb", ["hold", "cancel"])
def test_a_person_who_is_slower_than_the_claim_changes_nothing(verb):
    message = store()
    person = Actor(getattr(OutboxMessage.objects.all(), verb), before=LOCKING)
    claimed = claim()
    assert person.result() == 0
    message.refresh_from_db()
    assert (message.state, message.claim_token, message.finished_at) == (State.SENDING, claimed.claim_token, None)


@pytest.mark.parametrize(("verb", "state"), [("hold", State.HELD), ("cancel", State.CANCELLED)])
def test_a_worker_who_is_slower_than_the_person_gets_nothing(verb, state, locks):
    """Where it has locked the row it is not slower: the person waits, and comes too late."""
    message = store()
    worker = Actor(lambda: OutboxMessage.objects.claim(1), before=WRITING)
    person = Actor(getattr(OutboxMessage.objects.all(), verb))
    if not locks:
        assert person.result() == 1
    claimed = worker.result()
    assert (len(claimed), person.result()) == ((1, 0) if locks else (0, 1))
    message.refresh_from_db()
    assert message.state == (State.SENDING if locks else state)
    assert (message.claim_token is None) == (not locks)
