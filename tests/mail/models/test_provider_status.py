"""flasky.mail.models.provider_status: what a provider has said, where it is noted, found and shown."""

from dataclasses import replace

import pytest
from django.db import DatabaseError

from flasky.mail.delivery import deliver_due
from flasky.mail.delivery.outcomes import LOST
from flasky.mail.models import OutboxMessage, ProviderStatus, State
from flasky.mail.transports.replies import Receipt, Reply, Verdict
from flasky.mail.web.recipients import addresses
from flasky.mail.web.search import Listing
from flasky.mail.wire.mime import Parts
from tests.actors import ACCEPTED, WRITING, Actor, claim, end, expire, store
from tests.http_provider import HttpProvider, answer

pytestmark = pytest.mark.django_db(transaction=True)
B, C = "b@example.com", "c@example.com"
SENT = Reply(Verdict.ACCEPTED, "sent, id id-1", receipt=Receipt("Postmark", "id-1", "sent"))
REJECTED = Reply(Verdict.REFUSED, "rejected", receipt=Receipt("Postmark", "", "rejected"))


def noted():
    return list(ProviderStatus.objects.values_list("address", "provider", "provider_id", "status"))


def test_a_providers_status_and_id_are_noted_for_each_recipient():
    store(B, C)
    assert end(claim(), {B: SENT, C: REJECTED}) == State.SENT
    assert noted() == [(B, "Postmark", "id-1", "sent"), (C, "Postmark", "", "rejected")]


def test_a_mail_by_smtp_has_none():
    store()
    end(claim())
    assert noted() == []


def test_each_attempt_adds_its_own():
    store(B, C)
    end(claim(), {B: SENT, C: Reply(Verdict.POSTPONED, "later")})
    OutboxMessage.objects.update(next_attempt_at=OutboxMessage.objects.get().created_at)
    end(claim(), {C: replace(SENT, receipt=Receipt("Postmark", "id-2", "queued"))})
    assert [provider_id for _, _, provider_id, _ in noted()] == ["id-1", "id-2"]


def test_what_a_provider_said_too_late_is_noted_too():
    store()
    held = claim()
    expire()
    OutboxMessage.objects.take_over_expired()
    assert end(held, {B: SENT}) == LOST
    assert noted() == [(B, "Postmark", "id-1", "sent")]


def test_an_id_that_no_column_takes_is_noted_as_far_as_it_goes():
    store()
    end(claim(), {B: replace(SENT, receipt=Receipt("P" * 99, "i" * 999, "sent"))})
    assert noted() == [(B, "P" * 50, "i" * 255, "sent")]


def test_results_of_several_threads_are_noted_together():
    store(), store()
    first, second = claim(), claim()
    writing = Actor(lambda: end(first, {B: SENT}), before=WRITING)
    other = Actor(lambda: end(second, {B: SENT}))
    assert {writing.result(), other.result()} == {State.SENT}
    assert len(noted()) == 2


def test_where_the_database_refuses_the_text_the_status_stays():
    store()
    failures = [DatabaseError("bad text"), DatabaseError("bad text")]
    assert Actor(lambda: end(claim(), {B: replace(SENT, text="ok ✓")}), failures=failures).result() == State.SENT
    assert noted() == [(B, "Postmark", "id-1", "sent")]


@pytest.mark.parametrize("provider_id", ["0100018f-aa-000000", "<20160306.1@mg.example.com>"])
def test_a_message_is_found_by_its_providers_id(provider_id):
    store()
    chosen = store()
    ProviderStatus.objects.create(message=chosen, address=B, provider="X", provider_id=provider_id, status="sent")
    assert [message.pk for message in Listing({"q": provider_id}).page] == [chosen.pk]


def test_a_page_shows_what_the_provider_said_last():
    message = store(B)
    end(claim(), {B: SENT})
    message.refresh_from_db()
    [to] = addresses(message, Parts(message.content), ProviderStatus.objects.all())["To"]
    assert (to.outcome, to.provider) == ("accepted", "Postmark: sent, id-1")


def test_it_ends_with_its_message():
    message = store()
    end(claim(), {B: SENT})
    OutboxMessage.objects.filter(pk=message.pk).prune()
    assert noted() == []


def test_from_the_mail_to_the_id_of_a_real_provider_at_an_address_of_loopback(settings):
    taken = answer(200, {"ErrorCode": 0, "Message": "OK", "MessageID": "b4007d94-33f1", "To": B})
    with HttpProvider(taken) as provider:
        settings.MAIL_TRANSPORT = "anymail.backends.postmark.EmailBackend"
        settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "key", "POSTMARK_API_URL": provider.url}
        message = store()
        assert deliver_due() == {State.SENT: 1}
    assert noted() == [(B, "Postmark", "b4007d94-33f1", "sent")]
    assert provider.bodies()[0]["Metadata"] == {"outbox_id": str(message.pk)}
    assert ACCEPTED.receipt is None
