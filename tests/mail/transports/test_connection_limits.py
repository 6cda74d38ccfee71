"""What a relay says of one connection costs no mail an attempt: the rest goes on a new one, at once."""

import pytest
from django.core.mail import EmailMessage

from flasky.mail.delivery import deliver_due
from flasky.mail.models import OutboxMessage, RelayOutage, State
from flasky.mail.transports import TransportUnavailable, smtp
from flasky.mail.transports.replies import Verdict
from tests.mail.transports.handing_over import a_message, deliver, verdicts

pytestmark = pytest.mark.django_db(transaction=True)

NO_MORE = [
    "452 4.4.5 Maximum number of messages per session exceeded.",
    "421 Max message per connection reached, closing transmission channel | drop",
    "421 too many messages in this connection | drop",
]


def store(number):
    emails = [EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]) for _ in range(number)]
    for email in emails:
        email.send()
    return emails


def check_each_was_sent_once(scripted_relay, number):
    assert len(scripted_relay.accepted) == len(set(scripted_relay.accepted)) == number
    assert OutboxMessage.objects.filter(state=State.SENT, attempt_count=1, possible_duplicate=False).count() == number
    assert not RelayOutage.objects.exists()


@pytest.mark.parametrize("moment", ["MAIL", "RCPT", "DATA", "CONTENT"])
@pytest.mark.parametrize("said", NO_MORE)
def test_a_limit_of_mails_for_a_connection_is_found_once_and_then_kept(scripted_relay, said, moment):
    scripted_relay.script = {moment: [None, None, said]}
    store(6)
    assert deliver_due() == {State.SENT: 6}
    check_each_was_sent_once(scripted_relay, 6)
    assert scripted_relay.sessions == 3
    assert list(smtp._mails_per_connection.values()) == [2]


def test_a_relay_that_says_so_on_each_new_connection_is_not_asked_all_the_time(scripted_relay):
    scripted_relay.script = {"MAIL": NO_MORE[0]}
    with pytest.raises(TransportUnavailable, match="no more mails on one connection"):
        deliver(a_message())
    assert scripted_relay.sessions == 1
    assert not smtp._mails_per_connection


def test_after_too_many_errors_the_refusals_stand_and_the_rest_follows_on_a_new_connection(scripted_relay):
    nobody, enough = "550 5.1.1 Nobody", "421 4.7.0 relay.test Error: too many errors | drop"
    scripted_relay.script = {"RCPT": [nobody, nobody, enough]}
    replies = deliver(a_message("x@example.com", "y@example.com", "b@example.com", "c@example.com"))
    assert list(verdicts(replies).values()) == [Verdict.REFUSED] * 2 + [Verdict.ACCEPTED] * 2
    assert (len(scripted_relay.accepted), scripted_relay.sessions) == (1, 2)
    assert not smtp._mails_per_connection


def test_errors_of_the_mails_before_cost_the_next_one_nothing(scripted_relay):
    scripted_relay.script = {"RCPT": ["550 5.1.1 Nobody", "421 4.7.0 relay.test Error: too many errors | drop"]}
    store(2)
    assert deliver_due() == {State.FAILED: 1, State.SENT: 1}
    assert scripted_relay.sessions == 2


@pytest.mark.parametrize("moment", ["connect", "MAIL", "CONTENT"])
@pytest.mark.parametrize(
    "said",
    [
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
        "454 4.7.0 Throttling failure: Maximum sending rate exceeded.",
        "450 4.7.1 Error: too much mail from 192.0.2.1",
        "450 4.7.25 Message rate exceeded",
        "421 4.7.0 relay.test Error: too many connections from 192.0.2.1",
    ],
)
def test_crowding_means_fewer_and_nobody_looks_at_the_password(scripted_relay, said, moment):
    scripted_relay.script = {moment: said}
    with pytest.raises(TransportUnavailable) as caught:
        deliver(a_message())
    assert caught.value.is_crowded
    assert "MAIL_MAX_CONNECTIONS" in str(caught.value)
    assert "PASSWORD" not in str(caught.value)
