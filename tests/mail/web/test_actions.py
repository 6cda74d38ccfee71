"""flasky.mail.web.actions: what people may do to messages, and who did it."""

import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.conf import TRANSPORTS
from flasky.mail.models import OutboxMessage, RelayOutage, State
from flasky.mail.web import actions
from flasky.mail.web.actions import ActionRequest, last_action, perform, possible
from flasky.mail.web.operations import OPERATIONS
from tests.actors import ACCEPTED, REFUSED, claim, end
from tests.conftest import all_mail_goes_to

pytestmark = pytest.mark.django_db

OPERATION = {operation.name: operation for operation in OPERATIONS}
IN_EACH_STATE = {
    "try_now": ["queued"],
    "requeue": ["failed", "held", "cancelled"],
    "send_again": ["queued", "sending", "sent", "failed", "held", "cancelled", "gathered"],
    "hold": ["queued"],
    "release": ["held"],
    "cancel": ["queued", "held"],
    "forward": ["queued", "sending", "sent", "failed", "held", "cancelled", "gathered"],
}


def store(state=State.QUEUED, body="Hello", to=("bob@example.com",), **changes):
    email = EmailMessage("Hi", body, "ann@example.com", to)
    email.send()
    message = email.outbox_message
    OutboxMessage.objects.filter(pk=message.pk).update(state=state, **changes)
    message.refresh_from_db()
    return message


def ask(actor="Ann"):
    return ActionRequest(actor, f"{actor.lower()}@example.com", last_action())


def do(name, *messages, asked=None):
    return perform(OPERATION[name], [message.pk for message in messages], asked or ask())


def states(*messages):
    return [OutboxMessage.objects.get(pk=message.pk).state for message in messages]


def everything():
    """Return all columns of all messages."""
    return list(OutboxMessage.objects.order_by("pk").values())


def done_to(message):
    return list(message.actions.values_list("verb", "actor", "other"))


# To what


def test_there_is_nothing_else_to_do():
    assert list(OPERATION) == list(IN_EACH_STATE)


@pytest.mark.parametrize("name", OPERATION)
def test_it_is_done_to_messages_in_these_states_and_no_others(name):
    messages = {state.value: store(state) for state in State}
    result = do(name, *messages.values())
    assert [state for state, message in messages.items() if message.actions.exists()] == IN_EACH_STATE[name]
    assert (result.done, result.missed) == (len(IN_EACH_STATE[name]), len(State) - len(IN_EACH_STATE[name]))


@pytest.mark.parametrize("name", OPERATION)
def test_what_is_shown_as_possible_is_what_is_done(name):
    messages = [store(state) for state in State] + [store(state, content=b"") for state in State]
    chosen, asked = OutboxMessage.objects.filter(pk__in=[message.pk for message in messages]), ask()
    counted = possible(OPERATION[name], chosen, asked).count()
    reasons = OPERATION[name].eligible.left_out(chosen)
    assert [message.pk for message in messages if OPERATION[name].eligible.includes(message)] == sorted(
        possible(OPERATION[name], chosen, asked).values_list("pk", flat=True)
    )
    assert counted + sum(number for _, number in reasons) == len(messages)
    assert do(name, *messages, asked=asked).done == counted


@pytest.mark.parametrize("name", OPERATION)
def test_what_is_being_sent_is_not_changed(name):
    store(State.SENDING, claimed_by="host 1 mail_0")
    [before] = everything()
    do(name, OutboxMessage.objects.get())
    assert everything()[0] == before


@pytest.mark.parametrize("name", ["requeue", "send_again", "release", "forward"])
def test_what_was_pruned_cannot_be_sent_in_any_way(name):
    message = store(State.HELD, content=b"")
    assert do(name, message)[:3] == (0, 0, 1)
    assert (OutboxMessage.objects.count(), done_to(message)) == (1, [])


def test_what_was_pruned_can_be_given_up():
    message = store(State.HELD, content=b"")
    assert do("cancel", message).done == 1


@pytest.mark.parametrize("name", OPERATION)
def test_what_is_gone_is_missed(name):
    message = store(State.HELD)
    OutboxMessage.objects.all().delete()
    assert do(name, message)[:3] == (0, 0, 1)


def test_the_reasons_name_each_state_and_what_was_pruned():
    for state in (State.SENT, State.SENDING, State.SENDING, State.FAILED):
        store(state)
    store(State.FAILED, content=b"")
    assert OPERATION["requeue"].eligible.left_out(OutboxMessage.objects.all()) == [
        ("sending", 2),
        ("sent", 1),
        ("pruned", 1),
    ]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_sentence_names_the_states_that_the_operation_is_for(operation):
    named = {state for state in State if re.search(rf"is .*\b{state}\b.* can", str(operation.words.only))}
    assert (named or set(State)) == set(operation.eligible.states)
    assert ("not pruned" in str(operation.words.only)) == operation.eligible.needs_body


# What becomes of them


@pytest.mark.parametrize(
    ("name", "before", "after", "verb"),
    [
        ("requeue", State.FAILED, State.QUEUED, "requeued"),
        ("try_now", State.QUEUED, State.QUEUED, "tried_now"),
        ("hold", State.QUEUED, State.HELD, "held"),
        ("release", State.HELD, State.QUEUED, "released"),
        ("cancel", State.HELD, State.CANCELLED, "cancelled"),
    ],
)
def test_the_state_changes_and_the_history_has_the_person(name, before, after, verb):
    message, other = store(before), store(before)
    do(name, message)
    assert states(message, other) == [after, before]
    assert (done_to(message), done_to(other)) == ([(verb, "Ann", None)], [])


@pytest.mark.parametrize("name", OPERATION)
def test_the_content_stays_as_it_is(name):
    messages = [store(state) for state in State]
    do(name, *messages)
    for message in messages:
        stored = OutboxMessage.objects.get(pk=message.pk)
        assert (stored.content, stored.recipients, stored.message_id) == (
            message.content,
            message.recipients,
            message.message_id,
        )


@pytest.mark.parametrize("name", ["requeue", "release"])
def test_recipients_who_have_it_do_not_get_it_again(name, relay):
    message = store(to=["b@example.com", "c@example.com"])
    end(claim(), {"b@example.com": ACCEPTED})
    OutboxMessage.objects.update(state=State.HELD)
    do(name, message)
    message.refresh_from_db()
    assert message.remaining_recipients == ["c@example.com"]


@pytest.mark.parametrize(
    ("name", "left"), [("requeue", ["b@example.com", "c@example.com"]), ("release", ["c@example.com"])]
)
def test_only_a_requeue_asks_once_more_who_refused_it(name, left):
    message = store(to=["b@example.com", "c@example.com"])
    end(claim(), {"b@example.com": REFUSED})
    OutboxMessage.objects.update(state=State.HELD)
    do(name, message)
    message.refresh_from_db()
    assert message.remaining_recipients == left


def test_to_try_a_message_now_is_to_ask_a_relay_that_is_away():
    RelayOutage.objects.note("mail.example.com:25", "away", timezone.now() + timedelta(minutes=9))
    do("try_now", store())
    assert RelayOutage.objects.get().next_probe_at <= timezone.now()


def test_a_cancelled_message_can_be_requeued_and_is_unfinished_again():
    message = store()
    do("cancel", message)
    message.refresh_from_db()
    assert message.finished_at
    do("requeue", message)
    message.refresh_from_db()
    assert (message.state, message.finished_at) == (State.QUEUED, None)


def test_what_is_released_is_due_and_its_age_counts_from_now():
    message = store(State.HELD, lost_claims=3)
    OutboxMessage.objects.update(next_attempt_at=message.created_at.replace(2099))
    do("release", message)
    released = OutboxMessage.objects.due().get()
    assert (released.lost_claims, released.queued_at > message.queued_at) == (0, True)


@pytest.mark.parametrize("name", ["requeue", "send_again", "release"])
def test_what_is_to_be_sent_is_sent_at_once(name, relay, settings, django_capture_on_commit_callbacks):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    message = store(State.HELD)
    with django_capture_on_commit_callbacks(execute=True):
        do(name, message)
    assert len(relay.mails) == 1


# Copies


def test_what_is_sent_again_is_a_new_message_and_each_names_the_other():
    message = store(State.SENT, kind="mail/new_user", cause="accounts.user:7")
    do("send_again", message)
    new = OutboxMessage.objects.latest("pk")
    assert (new.state, new.kind, new.cause) == (State.QUEUED, "mail/new_user", "accounts.user:7")
    assert new.message_id != message.message_id
    assert done_to(message) == [("sent_again", "Ann", new.pk)]
    assert done_to(new) == [("copied", "Ann", message.pk)]


def test_what_is_sent_again_goes_to_all_and_is_found_by_each():
    message = store(State.SENT, to=["b@example.com", "C@example.com"], outcomes={"b@example.com": {"accepted": True}})
    do("send_again", message)
    new = OutboxMessage.objects.latest("pk")
    assert new.remaining_recipients == ["b@example.com", "C@example.com"]
    found = OutboxMessage.objects.filter(first_recipient="b@example.com")
    assert set(found) == {message, new}


def test_what_is_forwarded_goes_to_the_person_alone():
    message = store(State.SENT, to=["b@example.com", "c@example.com"])
    do("forward", message)
    new = OutboxMessage.objects.latest("pk")
    assert new.recipients == ["ann@example.com"]
    assert done_to(message) == [("forwarded", "Ann", new.pk)]


def test_mail_that_bypasses_the_outbox_is_forwarded_too(settings, mailoutbox):
    message = store(State.SENT)
    all_mail_goes_to(settings, TRANSPORTS["locmem"])
    assert do("forward", message).done == 1
    assert [email.to for email in mailoutbox] == [["ann@example.com"]]
    assert done_to(message) == [("forwarded", "Ann", None)]


def test_one_that_gets_too_large_as_an_attachment_stops_no_other(settings):
    small, large, last = store(), store(body="long line\n" * 500), store()
    settings.MAIL_MAX_SIZE = 4000
    result = do("forward", small, large, last)
    assert (result.done, result.missed, result.refused, result.left) == (2, 0, 1, [])
    assert "MAIL_MAX_SIZE allows 4,000" in result.reason
    assert [bool(done_to(message)) for message in (small, large, last)] == [True, False, True]


def test_an_address_that_is_none_forwards_nothing_and_says_so():
    message = store()
    result = do("forward", message, asked=ActionRequest("Ann", "ann@", 0))
    assert (result.done, result.refused) == (0, 1)
    assert "ann@" in result.reason
    assert (OutboxMessage.objects.count(), done_to(message)) == (1, [])


# Twice


@pytest.mark.parametrize("name", OPERATION)
def test_a_second_click_does_nothing_even_when_the_message_is_back_in_its_state(name):
    state = IN_EACH_STATE[name][0]
    message, asked = store(state), ask()
    assert do(name, message, asked=asked)[:3] == (1, 0, 0)
    OutboxMessage.objects.filter(pk=message.pk).update(state=state)
    before = everything()
    assert do(name, message, asked=asked)[:3] == (0, 1, 0)
    assert everything() == before
    assert message.actions.count() == 1


def test_what_was_done_before_the_question_can_be_done_again():
    message = store(State.SENT)
    assert [do("send_again", message).done, do("send_again", message).done] == [1, 1]
    assert OutboxMessage.objects.count() == 3


def test_of_two_who_are_asked_at_once_one_sends_it_again():
    message, ann, bob = store(State.SENT), ask("Ann"), ask("Bob")
    assert do("send_again", message, asked=ann).done == 1
    assert do("send_again", message, asked=bob)[:3] == (0, 1, 0)


def test_of_two_who_are_asked_at_once_both_get_it_forwarded():
    message, ann, bob = store(State.SENT), ask("Ann"), ask("Bob")
    assert do("forward", message, asked=ann).done == 1
    assert do("forward", message, asked=bob).done == 1


def test_another_thing_that_was_done_meanwhile_counts_only_by_its_state():
    message, asked = store(), ask("Bob")
    do("hold", message)
    assert do("cancel", message, asked=asked).done == 1
    assert [verb for verb, *_ in done_to(message)] == ["held", "cancelled"]


# How many


def test_more_than_the_limit_are_left_for_another_go():
    messages = [store() for _ in range(actions.MOST_FORWARDED + 3)]
    asked = ask()
    result = do("forward", *messages, asked=asked)
    assert (result.done, result.left) == (actions.MOST_FORWARDED, [message.pk for message in messages[-3:]])
    again = perform(OPERATION["forward"], result.left, asked)
    assert again[:3] == (3, 0, 0)
    assert again.left == []


@pytest.mark.parametrize(("name", "at_once"), [("cancel", 2), ("send_again", 1)])
def test_a_person_does_not_wait_until_all_is_done(name, at_once, monkeypatch):
    """The clock is looked at before each of a few at once; here it says at the second look that it is too late."""
    clock = iter([0, actions.ANSWER_AFTER - 1, actions.ANSWER_AFTER + 1])
    monkeypatch.setattr(actions, "time", SimpleNamespace(monotonic=clock.__next__))
    messages = [store() for _ in range(3)]
    operation = replace(OPERATION[name], chunk=min(OPERATION[name].chunk, 2))
    result = perform(operation, [message.pk for message in messages], ask())
    assert (result.done, result.left) == (at_once, [message.pk for message in messages[at_once:]])
