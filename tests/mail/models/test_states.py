"""flasky.mail.models.states: each state has an answer wherever one is asked about it."""

import pytest
from django.core.mail import EmailMessage

from accounts.notification import SENTENCES
from flasky.mail.management.commands.requeue_mail import LEFT_OUT
from flasky.mail.models import Action, OutboxMessage, State
from flasky.mail.status.explanations import why
from flasky.mail.web.operations import OPERATIONS
from flasky.mail.web.search import TABS

pytestmark = pytest.mark.django_db

VERBS = {
    "requeue": State.for_requeue(),
    "hold": State.for_hold(),
    "release": State.for_release(),
    "cancel": State.for_cancel(),
}


def store(state):
    email = EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"])
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(state=state)
    return OutboxMessage.objects.get()


@pytest.mark.parametrize("state", State)
def test_the_index_finds_exactly_what_whoever_delivers_has_left_to_do(state):
    """A new state whose name comes between queued and sending would be looked at by every worker, for ever."""
    store(state)
    assert OutboxMessage.objects.unfinished().exists() == (state in State.waiting())


@pytest.mark.parametrize("state", State)
def test_nothing_is_left_to_do_with_what_is_finished(state):
    assert store(state).is_finished == (state in State.finished()) == (state not in State.not_finished())
    assert not {*State.finished()} & {*State.waiting()}


@pytest.mark.parametrize("state", State)
def test_each_state_is_explained(state):
    sentence = why(store(state))
    assert sentence.startswith(("It ", "The relay accepted it"))
    assert "later version" not in sentence


@pytest.mark.parametrize("state", State)
def test_each_state_has_its_tab_its_words_for_the_visitor_and_for_the_command(state):
    assert [tab.label for tab in TABS if tab.name == state] == [state.label]
    assert SENTENCES[state]
    assert LEFT_OUT[state]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", State)
def test_a_verb_changes_what_is_in_its_states_only(verb, state):
    store(state)
    assert getattr(OutboxMessage.objects, verb)() == Action.objects.count() == (state in VERBS[verb])


def test_what_the_buttons_offer_is_what_the_verbs_do():
    offered = {operation.name: operation.eligible.states for operation in OPERATIONS}
    assert {name: offered[name] for name in VERBS} == VERBS


def test_the_list_shows_what_is_in_a_state_that_only_a_later_version_knows(client, settings):
    settings.DEBUG = True
    store("bounced")
    assert 'class="badge bounced">bounced<' in client.get("/mailbox/").content.decode()
