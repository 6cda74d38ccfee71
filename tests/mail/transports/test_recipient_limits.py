"""flasky.mail.transports.smtp: how many recipients one transaction has, by the setting and by what a relay has said."""

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.delivery import deliver_due
from flasky.mail.models import OutboxMessage, State
from flasky.mail.transports import smtp
from flasky.mail.transports.replies import Verdict
from tests.mail.transports.handing_over import a_message, deliver, verdicts

pytestmark = pytest.mark.django_db(transaction=True)

AT_THE_END = [
    "554 recipient count exceeds the limit",
    "552 5.5.3 Too many recipients",
    "550 Maximum number of recipients exceeded",
    "452 4.5.3 Too many recipients",
]


def learned(scripted_relay):
    return smtp._most_recipients[f"127.0.0.1:{scripted_relay.port}"]


def addresses(number):
    return [f"b{each}@example.com" for each in range(number)]


def store(number):
    email = EmailMessage("Hi", "Hello", "ann@example.com", addresses(number))
    email.send()
    return email.outbox_message


def deliver_all():
    """Deliver until nothing waits, as if the pauses were over at once."""
    for _ in range(20):
        OutboxMessage.objects.update(next_attempt_at=timezone.now())
        if not deliver_due():
            break
    return list(OutboxMessage.objects.values_list("state", flat=True))


def test_no_transaction_has_more_recipients_than_the_setting_says(scripted_relay, settings):
    settings.MAIL_MAX_RECIPIENTS = 2
    first, second = store(5), store(3)
    assert deliver_all() == [State.SENT] * 2
    for message, transactions in ((first, 3), (second, 2)):
        message.refresh_from_db()
        assert all(outcome["accepted"] for outcome in message.outcomes.values())
        assert message.attempt_count == transactions
    assert len(scripted_relay.accepted) == 5


def test_those_who_wait_for_the_next_transaction_wait_a_second(settings, scripted_relay):
    settings.MAIL_MAX_RECIPIENTS = 2
    message = store(3)
    deliver_due()
    message.refresh_from_db()
    assert (message.next_attempt_at - timezone.now()).total_seconds() < 1.2


@pytest.mark.parametrize("said", AT_THE_END)
@pytest.mark.parametrize("moment", ["DATA", "CONTENT"])
def test_a_relay_that_counts_at_the_end_gets_half_and_then_the_rest(scripted_relay, said, moment):
    scripted_relay.script = {moment: [said]}
    message = store(4)
    assert deliver_all() == [State.SENT]
    message.refresh_from_db()
    assert all(outcome["accepted"] for outcome in message.outcomes.values())
    assert len(scripted_relay.accepted) == 2
    assert learned(scripted_relay) == 2


def test_what_was_learned_at_rcpt_is_kept_for_the_next_mail(scripted_relay):
    scripted_relay.script = {"RCPT": [None, None, "452 4.5.3 Too many recipients"]}
    deliver(a_message(*addresses(3)))
    replies = deliver(a_message(*addresses(4)))
    assert list(verdicts(replies).values()) == [Verdict.ACCEPTED] * 2 + [Verdict.POSTPONED] * 2
    assert learned(scripted_relay) == 2


def test_a_sender_that_is_refused_is_refused_for_all_at_once(scripted_relay, settings):
    settings.MAIL_MAX_RECIPIENTS = 2
    scripted_relay.script = {"MAIL": ["550 5.1.8 Nobody"]}
    assert set(verdicts(deliver(a_message(*addresses(4)))).values()) == {Verdict.REFUSED}
