"""Erasing a person: nothing of them is left in any column, and others' mails still leave."""

import pytest
from django.core.mail import EmailMessage

from accounts.models import User
from flasky.mail import cause_of
from flasky.mail.delivery.engine import deliver, deliver_due
from flasky.mail.models import Action, HourlyCount, OutboxMessage, RelayOutage, State
from flasky.mail.privacy.erasure import ERASED, erase
from flasky.mail.privacy.trail import Person
from flasky.mail.transports import borrow
from tests.mail.privacy.people import ANN, attached, rows_with, stored

pytestmark = pytest.mark.django_db

PERSON = Person(frozenset({ANN}))


def test_a_mail_to_nobody_else_goes_whole_in_whatever_state():
    for state in State:
        stored("Ann <Ann@example.com>", state=state)
    erased = erase(PERSON)
    assert (erased.removed, erased.unsent, erased.on_the_wire, erased.left) == (7, 2, 1, [])
    assert not OutboxMessage.objects.exists()
    assert not rows_with("nn@example.com")


def test_no_column_of_any_table_keeps_the_address():
    stored(ANN, "bob@example.com", reply_to=[ANN]), stored("bob@example.com", ANN, subject=f"For {ANN}")
    stored("bob@example.com", bcc=[ANN]), stored("bob@example.com", cc=[f"Ann <{ANN}>"])
    stored("bob@example.com", sender=f"Ann <{ANN}>", headers={"Message-ID": f"<{ANN}>"})
    stored("bob@example.com", body=f"Ask {ANN}, ä")  # in quoted-printable or base64
    options = stored("bob@example.com")
    options.provider_options = {"merge_data": {ANN: {"reply": [ANN]}}, "as": "it is"}
    options.save()
    attached(stored(ANN)).send()
    OutboxMessage.objects.filter(state=State.QUEUED).update(state=State.SENT)
    RelayOutage.objects.create(server="s", sender=ANN, reason="no", next_probe_at=options.created_at)
    erased = erase(PERSON)
    assert rows_with("ann@example.com") == []
    assert (erased.removed, erased.cleaned, erased.left) == (1, 8, [])
    options.refresh_from_db()
    assert options.provider_options == {"merge_data": {ERASED: {"reply": [ERASED]}}, "as": "it is"}


def test_a_body_that_hides_the_address_in_an_encoding_is_emptied():
    email = EmailMessage("Hi", "Hello", "site@example.com", ["bob@example.com"])
    email.attach("list.csv", f"1;{ANN}\n".encode() * 3, "application/octet-stream")
    email.send()
    message = email.outbox_message
    assert ANN.encode() not in bytes(message.content)
    OutboxMessage.objects.update(state=State.SENT)
    assert erase(PERSON).emptied == 1
    message.refresh_from_db()
    assert message.is_pruned


def test_the_others_keep_their_mail_and_are_found_by_it():
    message = stored(ANN, "Bob@example.com", "carl@example.com")
    erase(PERSON)
    message.refresh_from_db()
    assert message.recipients == ["Bob@example.com", "carl@example.com"]
    assert message.outcomes.keys() == {"Bob@example.com", "carl@example.com"}
    assert list(OutboxMessage.objects.to("bob@example.com")) == [message]
    assert list(OutboxMessage.objects.to("carl@example.com")) == [message]
    assert not OutboxMessage.objects.to(ANN).exists()
    assert {status.address for status in message.provider_statuses.all()} == {"Bob@example.com", "carl@example.com"}


def test_a_mail_that_waits_leaves_for_the_others_and_says_so_until_then(relay):
    message = stored(ANN, "bob@example.com", state=State.QUEUED)
    assert erase(PERSON).left == [message.pk]
    deliver_due()
    assert [mail.recipients for mail in relay.mails] == [["bob@example.com"]]
    assert erase(PERSON).left == []
    assert rows_with(ANN) == []


def test_a_similar_address_is_somebody_else():
    message = stored(
        "bob@example.com", body="joann@example.com ann@example.com.au ann@example.community +ann@example.com"
    )
    assert erase(PERSON).cleaned == 0
    message.refresh_from_db()
    assert not message.is_pruned


def test_mails_about_a_person_go_with_all_that_was_forwarded_of_them():
    about, other = stored("admin@example.com", cause="accounts.user:17"), stored("admin@example.com")
    copy = stored("staff@example.com", subject="Fwd: about Ann")
    about.actions.create(verb=Action.Verb.FORWARDED, actor="Grace", other=copy.pk)
    assert erase(Person(causes=frozenset({"accounts.user:17"}))).removed == 2
    assert list(OutboxMessage.objects.all()) == [other]
    assert HourlyCount.objects.get().highest_number == copy.pk


def test_whoever_acted_has_no_name_any_more_and_nobody_else_loses_theirs():
    message = stored("bob@example.com")
    OutboxMessage.objects.update(actor="Ann")
    for actor in ("Ann", "Ann (manage.py requeue_mail)", "ANN", "Anna", "Bob"):
        message.actions.create(verb=Action.Verb.HELD, actor=actor)
    assert erase(Person(names=frozenset({"Ann"}))).unnamed == 3
    message.refresh_from_db()
    assert message.actor == ""
    assert list(Action.objects.values_list("actor", flat=True)) == ["", "", "ANN", "Anna", "Bob"]


def test_a_dry_run_says_the_same_and_changes_nothing():
    stored(ANN), stored(ANN, "bob@example.com"), stored(ANN, "bob@example.com", state=State.HELD)
    before = list(OutboxMessage.objects.order_by("pk").values())
    assert erase(PERSON, dry_run=True) == (said := erase(PERSON, dry_run=True))
    assert [*OutboxMessage.objects.order_by("pk").values()] == before
    assert said == erase(PERSON)


def test_a_deleted_user_takes_the_mails_about_them_along(settings):
    settings.FLASKY_ADMIN = ["admin@example.com"]
    ann, bob = User.objects.create(username="Ann"), User.objects.create(username="Bob")
    kept = cause_of(bob)
    ann.delete()
    assert list(OutboxMessage.objects.values_list("cause", flat=True)) == [kept]
    User.objects.all().delete()
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_mail_that_is_erased_on_the_wire_upsets_nobody(relay):
    stored(ANN, state=State.QUEUED), stored("bob@example.com", state=State.QUEUED)
    claim = OutboxMessage.objects.claim(10)
    erase(PERSON)
    with borrow() as transport:
        list(deliver(claim, transport))
    deliver_due()
    assert [message.state for message in OutboxMessage.objects.all()] == [State.SENT]
