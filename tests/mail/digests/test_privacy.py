"""flasky.mail.privacy: a person who is erased is in no digest any more, and the others in it are not lost."""

import json
from io import BytesIO
from zipfile import ZipFile

import pytest

from accounts.models import User
from flasky.mail import cause_of
from flasky.mail.digests.making import make_digests
from flasky.mail.models import Action, Gathered, OutboxMessage, State
from flasky.mail.privacy.erasure import ERASED, erase
from flasky.mail.privacy.export import export
from flasky.mail.privacy.trail import Person
from tests.mail.digests.mails import make_due, send, states, told_in
from tests.mail.privacy.people import rows_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ada(settings):
    settings.FLASKY_ADMIN = []
    return User.objects.create(username="Ada")


def digest_with(ada, state):
    send("x", "y")
    send("Ada", cause=ada)
    send("Bo", "Chen")
    [digest] = make_due()
    OutboxMessage.objects.filter(pk=digest.pk).update(state=state)
    return digest


def person(user):
    return Person(causes=frozenset({cause_of(user)}))


@pytest.mark.parametrize("state", [State.SENT, State.FAILED, State.CANCELLED])
def test_a_digest_that_is_finished_is_emptied(ada, state):
    digest = digest_with(ada, state)
    erased = erase(person(ada))
    digest.refresh_from_db()
    assert (bytes(digest.content), digest.subject, digest.state) == (b"", ERASED, state)
    assert (erased.removed, erased.emptied) == (1, 1)
    assert told_in(digest) == ["Bo", "Chen"]
    assert rows_with("Ada") == []


@pytest.mark.parametrize("state", [State.QUEUED, State.SENDING])
def test_one_that_has_not_left_is_made_anew_without_the_person(ada, state):
    digest = digest_with(ada, state)
    erase(person(ada))
    assert not OutboxMessage.objects.filter(pk=digest.pk).exists()
    assert rows_with("Ada") == []
    make_digests()
    digest = OutboxMessage.objects.get(source="digest")
    assert told_in(digest) == ["Bo", "Chen"]
    assert digest.possible_duplicate == (state == State.SENDING)
    assert states() == [State.QUEUED] * 2 + [State.GATHERED] * 2 + [State.QUEUED]


def test_what_a_held_digest_tells_of_is_held(ada):
    digest_with(ada, State.HELD)
    erase(person(ada))
    assert states() == [State.QUEUED] * 2 + [State.HELD] * 2
    make_digests()
    assert OutboxMessage.objects.filter(state=State.HELD).release("ann") == 2
    assert not OutboxMessage.objects.filter(source="digest").exists()


def test_one_that_waits_is_in_no_digest(ada):
    send("x", "y")
    send("Ada", cause=ada)
    send("Bo", "Chen")
    erase(person(ada))
    assert rows_with("Ada") == []
    [digest] = make_due()
    assert told_in(digest) == ["Bo", "Chen"]


def test_a_copy_that_a_person_made_of_the_digest_is_emptied_too(ada):
    digest = digest_with(ada, State.SENT)
    copy = OutboxMessage.objects.get(pk=digest.pk)
    copy.pk, copy.message_id = None, "<copy@example.com>"
    copy._state.adding = True
    copy.save()
    Action.objects.create(message=digest, verb=Action.Verb.SENT_AGAIN, other=copy.pk)
    erase(person(ada))
    assert rows_with("Ada") == []


def test_deleting_the_user_reaches_the_digest(ada):
    digest_with(ada, State.SENT)
    ada.delete()
    assert rows_with("Ada") == []


def test_a_dry_run_changes_nothing(ada):
    digest_with(ada, State.QUEUED)
    before = states()
    assert erase(person(ada), dry_run=True).removed == 2
    assert states() == before
    assert Gathered.objects.filter(digest__isnull=False).count() == 3


def test_the_export_lists_the_digest_without_the_others(ada):
    digest = digest_with(ada, State.SENT)
    file = BytesIO()
    export(person(ada), file)
    with ZipFile(file) as archive:
        listed = {each["number"]: each for each in json.loads(archive.read("mail.json"))["messages"]}
        assert f"messages/{digest.pk}.eml" not in archive.namelist()
    assert listed[digest.pk]["is"] == ["told of in a list with others"]
    assert "Bo" not in str(listed)


BOTH = ["ann@example.com", "admin@example.com"]


def test_a_recipient_who_is_erased_gets_no_digest_and_is_in_no_column(ada):
    send(*"abcd", to=BOTH)
    erased = erase(Person(addresses=frozenset({"ann@example.com"})))
    OutboxMessage.objects.update(content=b"-")  # what waits for others keeps its text until it has left
    assert len(erased.left) == 4
    assert rows_with("ann@example.com") == []
    assert make_due() == []
    assert OutboxMessage.objects.count() == 4


def test_nor_is_one_of_a_digest_that_has_left(ada):
    send(*"abcd", to=BOTH)
    [digest] = make_due()
    OutboxMessage.objects.exclude(state=State.GATHERED).update(state=State.SENT)
    erase(Person(addresses=frozenset({"ann@example.com"})))
    assert rows_with("ann@example.com") == []
    assert told_in(digest) == ["c", "d"]


def test_an_address_that_a_digest_was_to_say_is_masked(ada):
    send("x", "y", "Ann <ann@example.com>", "Bo")
    make_due()
    OutboxMessage.objects.exclude(state=State.GATHERED).update(state=State.SENT)
    erase(Person(addresses=frozenset({"ann@example.com"})))
    assert rows_with("ann@example.com") == []
