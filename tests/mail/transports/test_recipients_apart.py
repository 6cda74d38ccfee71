"""What a relay says of one recipient is about that one: the others get the mail, and nobody else waits."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.delivery import deliver_due
from flasky.mail.models import OutboxMessage, RelayOutage, State
from flasky.mail.transports import TransportUnavailable, borrow
from flasky.mail.transports.replies import Verdict
from flasky.mail.wire.compose import compose
from tests.clocks import somebody_was_there_for
from tests.conftest import use_relay
from tests.mail.transports.handing_over import verdicts
from tests.scripted_relay import ScriptedRelay

BAD, GOOD, OTHER = "bad@example.com", "good@example.com", "other@example.com"
ACCEPTED, REFUSED, POSTPONED = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.POSTPONED

TOO_MANY = [
    "452 4.5.3 Too many recipients",
    "452 too many recipients",
    "552 5.5.3 Too many recipients",
    "552 too many recipients",
    "550 5.5.3 Too many recipients for this sender",
    "554 5.7.1 Too many recipients",
    "451 4.5.3 Your message has too many recipients.",
]


def an_email(*recipients):
    return EmailMessage("Hi", "Hello\n", "ann@example.com", list(recipients))


def deliver(*recipients):
    """Return the replies for the recipients, the message handed over once."""
    with borrow() as transport:
        return transport.deliver(OutboxMessage(**compose(an_email(*recipients))))


def saying(*of_each):
    """Return a script that answers each RCPT in turn, and all after them as usual."""
    return list(of_each)


@pytest.fixture(params=[False, True], ids=["one by one", "in groups"])
def relay_that_says(request, settings):
    relays = []

    def start(**script):
        relay = ScriptedRelay(pipelining=request.param, **script)
        relay.__enter__()
        relays.append(relay)
        use_relay(settings, relay)
        return relay

    yield start
    for relay in relays:
        relay.__exit__()


@pytest.mark.parametrize(
    "said",
    [
        "454 4.7.1 <bad@example.com>: Relay access denied",
        "421 4.7.0 Too many errors",
        "450 4.3.2 Not now",
        "530 5.7.0 No",
    ],
)
@pytest.mark.parametrize("recipients", [(BAD, GOOD), (GOOD, BAD)])
def test_the_other_one_has_the_mail_at_once_in_the_same_transaction(relay_that_says, said, recipients):
    relay = relay_that_says(RCPT=saying(*[said if address == BAD else None for address in recipients]))
    replies = deliver(*recipients)
    assert verdicts(replies) == {BAD: POSTPONED, GOOD: ACCEPTED}
    assert replies[BAD].text == said
    assert (len(relay.accepted), relay.sessions) == (1, 1)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("421 4.7.0 Bye | drop", POSTPONED), ("550 5.1.1 Nobody | drop", REFUSED), ("drop", POSTPONED)],
)
@pytest.mark.parametrize("recipients", [(BAD, GOOD), (GOOD, BAD), (GOOD, BAD, OTHER), (BAD,)])
def test_one_who_ends_the_connection_does_not_take_the_others_along(relay_that_says, said, verdict, recipients):
    relay = relay_that_says(RCPT=saying(*[said if address == BAD else None for address in recipients]))
    assert verdicts(deliver(*recipients)) == {BAD: verdict} | {
        address: ACCEPTED for address in recipients if address != BAD
    }
    assert len(relay.accepted) == (len(recipients) > 1)


def test_a_quota_that_ends_between_two_recipients_keeps_nobody_from_the_mail_who_may_have_it(relay_that_says):
    relay = relay_that_says(RCPT=saying(None, "550 5.4.5 Daily user sending quota exceeded"))
    assert verdicts(deliver(GOOD, BAD)) == {GOOD: ACCEPTED, BAD: POSTPONED}
    assert (len(relay.accepted), relay.sessions) == (1, 1)


def test_who_was_refused_stays_refused_when_the_quota_ends_after_it(relay_that_says):
    quota = "550 5.4.5 Daily user sending quota exceeded"
    relay_that_says(RCPT=saying("550 5.1.1 Nobody", quota, quota))
    replies = deliver(BAD, GOOD)
    assert verdicts(replies) == {BAD: REFUSED, GOOD: POSTPONED}
    assert quota in replies[GOOD].text


def test_many_who_end_the_connection_end_the_attempt(relay_that_says):
    relay = relay_that_says(RCPT="421 4.7.0 Bye | drop")
    replies = deliver(*(f"b{number}@example.com" for number in range(20)))
    assert set(verdicts(replies).values()) == {POSTPONED}
    assert relay.sessions == 5


def test_what_was_heard_before_the_connection_broke_is_kept(relay_that_says):
    relay = relay_that_says(RCPT=saying("550 5.1.1 Nobody", None), DATA="drop")
    replies = deliver(BAD, GOOD)
    assert verdicts(replies) == {BAD: REFUSED, GOOD: POSTPONED}
    assert "closed the connection" in replies[GOOD].text
    assert relay.accepted == []


@pytest.mark.parametrize("moment", ["DATA", "CONTENT"])
def test_what_was_heard_before_the_relay_went_away_is_kept(relay_that_says, moment):
    relay_that_says(RCPT=saying("550 5.1.1 Nobody", None), **{moment: "421 4.3.2 Shutting down | drop"})
    replies = deliver(BAD, GOOD)
    assert verdicts(replies) == {BAD: REFUSED, GOOD: POSTPONED}
    assert "421 4.3.2 Shutting down" in replies[GOOD].text


@pytest.mark.parametrize("moment", ["MAIL", "DATA"])
def test_who_says_goodbye_has_taken_nothing(relay_that_says, moment):
    relay = relay_that_says(**{moment: "221 2.0.0 Bye | drop"})
    with pytest.raises(TransportUnavailable, match=r"221 2\.0\.0 Bye"):
        deliver(GOOD)
    assert relay.accepted == []


def test_whether_who_says_goodbye_to_the_whole_text_has_it_nobody_knows(relay_that_says):
    relay_that_says(CONTENT="221 2.0.0 Bye | drop")
    assert verdicts(deliver(GOOD)) == {GOOD: Verdict.UNKNOWN}


def test_a_reply_behind_nonsense_is_not_taken_for_the_next_message(relay_that_says):
    relay = relay_that_says(DATA=["354 Go on\r\n354 Go on"])
    with borrow() as transport:
        first, second = [OutboxMessage(**compose(an_email(GOOD))) for _ in range(2)]
        replies = list(transport.deliver_each([first, second]))
    assert [verdicts(each) for each in replies] == [{GOOD: Verdict.UNKNOWN}, {GOOD: ACCEPTED}]
    assert relay.sessions == 2


def test_a_relay_that_is_gone_after_it_refused_one_recipient_has_refused_that_one(relay_that_says):
    relay = relay_that_says(RCPT=saying("550 5.1.1 Nobody | drop"), connect=[None, "drop"])
    assert verdicts(deliver(BAD, GOOD)) == {BAD: REFUSED, GOOD: POSTPONED}
    assert relay.sessions == 2


@pytest.mark.django_db(transaction=True)
class TestInTheOutbox:
    def test_one_bad_address_blocks_neither_the_other_nor_the_next_mail(self, relay_that_says):
        said = "454 4.7.1 <bad@example.com>: Relay access denied"
        relay = relay_that_says(RCPT=saying(said, None, None))
        first, second = self.store(BAD, GOOD), self.store(OTHER)
        assert deliver_due() == {State.QUEUED: 1, State.SENT: 1}
        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.state, first.attempt_count, first.remaining_recipients) == (State.QUEUED, 1, [BAD])
        assert second.state == State.SENT
        assert len(relay.accepted) == 2
        assert not RelayOutage.objects.exists()

    @pytest.mark.parametrize("said", TOO_MANY)
    def test_those_for_whom_there_was_no_room_follow_in_the_next_transaction(self, relay_that_says, said):
        relay = relay_that_says(RCPT=saying(None, None, said, said, None, None))
        message = self.store(*(f"b{number}@example.com" for number in range(4)))
        assert deliver_due() == {State.QUEUED: 1}
        message.refresh_from_db()
        assert message.next_attempt_at - timezone.now() < timedelta(seconds=1.2)
        OutboxMessage.objects.update(next_attempt_at=timezone.now())
        assert deliver_due() == {State.SENT: 1}
        message.refresh_from_db()
        assert all(outcome["accepted"] for outcome in message.outcomes.values())
        assert (len(relay.accepted), len(message.outcomes)) == (2, 4)

    @pytest.mark.parametrize(
        "said",
        ["450 4.7.1 Error: too many recipients from 192.0.2.1", "452 4.2.2 Mailbox full", "452 Insufficient storage"],
    )
    def test_a_rate_or_a_full_mailbox_is_not_asked_again_at_once(self, relay_that_says, said):
        relay_that_says(RCPT=saying(None, said))
        message = self.store(GOOD, BAD)
        deliver_due()
        message.refresh_from_db()
        assert message.next_attempt_at - timezone.now() > timedelta(seconds=4)

    def test_it_is_given_up_when_it_is_too_old(self, relay_that_says, settings):
        settings.MAIL_GIVE_UP_DAYS = 0
        somebody_was_there_for(days=0)
        relay_that_says(RCPT="454 4.7.1 <bad@example.com>: Relay access denied")
        message = self.store(BAD)
        assert deliver_due() == {State.FAILED: 1}
        message.refresh_from_db()
        assert message.last_reply == "454 4.7.1 <bad@example.com>: Relay access denied"

    @pytest.mark.parametrize("moment", ["MAIL", "DATA", "CONTENT"])
    def test_a_message_that_upsets_the_relay_each_time_is_given_up_when_it_is_too_old(
        self, relay_that_says, settings, moment
    ):
        settings.MAIL_GIVE_UP_DAYS = 0
        somebody_was_there_for(days=0)
        relay_that_says(**{moment: "421 4.7.0 Not this one | drop"})
        message = self.store(BAD)
        with pytest.raises(TransportUnavailable):
            deliver_due()
        message.refresh_from_db()
        assert (message.state, message.attempt_count) == (State.FAILED, 1)
        assert "421 4.7.0 Not this one" in message.last_reply

    def store(self, *recipients):
        email = an_email(*recipients)
        email.send()
        return email.outbox_message
