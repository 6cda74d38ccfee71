"""flasky.mail.delivery.alarms: mails that are refused alike are kept, and somebody is told which setting to look at."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.delivery import deliver_due
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import OutboxMessage, RelayOutage, State
from flasky.mail.transports import TransportUnavailable
from tests.clocks import somebody_was_there_for
from tests.conftest import running, use_relay, wait_until
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)

SEND_AS = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"


@pytest.fixture(params=[False, True], ids=["one by one", "in groups"])
def relay(request, settings):
    settings.MAIL_WORKERS = 1
    with ScriptedRelay(pipelining=request.param) as relay:
        use_relay(settings, relay)
        yield relay


def store(*recipients):
    for address in recipients:
        EmailMessage("Hi", "Hello", "ann@example.com", [address]).send()


def store_to_many(number=8):
    store(*(f"b{each}@example.com" for each in range(number)))


def states():
    return {
        state: OutboxMessage.objects.filter(state=state).count() for state in (State.QUEUED, State.FAILED, State.SENT)
    }


@pytest.mark.parametrize(
    ("moment", "said", "named"),
    [
        ("MAIL", SEND_AS, "MAIL_SENDER"),
        ("CONTENT", SEND_AS, "MAIL_SENDER"),
        ("MAIL", "550 5.7.1 Not authorised", "MAIL_SENDER"),
        ("MAIL", "501 5.1.7 <ann@example.com>: Bad sender address syntax", "MAIL_SENDER"),
        ("MAIL", "550 5.1.0 Sender rejected", "MAIL_SENDER"),
        ("RCPT", "550 5.1.8 <ann@example.com>: Sender address rejected: Domain not found", "MAIL_SENDER"),
        ("RCPT", "553 5.7.1 <ann@example.com>: Sender address rejected: not owned by user ann", "MAIL_SENDER"),
        ("RCPT", "550 Sender verify failed", "MAIL_SENDER"),
        ("MAIL", "501 mail from address must be same as authorization user.", "MAIL_SENDER"),
        ("CONTENT", "550 5.7.26 This mail is unauthenticated, a1-2 - gsmtp", "SPF and DKIM"),
        ("CONTENT", "550 5.7.515 Access denied, sending domain does not meet the required level", "SPF and DKIM"),
        ("CONTENT", "554 Message rejected: Email address is not verified.", "verified first"),
        ("RCPT", "554 5.7.1 <b@example.com>: Relay access denied", "MAIL_USERNAME"),
        ("RCPT", "550 relay not permitted", "MAIL_USERNAME"),
        ("RCPT", "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", "MAIL_EHLO_NAME"),
        ("RCPT", "554 5.7.1 <localhost[127.0.0.1]>: Client host rejected: Access denied", "MAIL_USERNAME"),
        ("RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example", "MAIL_USERNAME"),
        ("RCPT", "553 5.7.1 <ann@example.com>: Sender address rejected: not logged in", "MAIL_USERNAME"),
        ("RCPT", "553 5.7.1 <ann@example.com>: Sender address rejected: not owned by user b", "MAIL_SENDER"),
        ("CONTENT", "550 5.7.25 The IP address sending this message does not have a PTR record", "reverse DNS"),
        ("CONTENT", "554 Rejected by policy", "MAIL_SENDER"),
    ],
)
def test_mails_that_are_refused_alike_are_kept_until_the_cause_is_mended(relay, moment, said, named):
    relay.script = {moment: said}
    store_to_many()
    with pytest.raises(TransportUnavailable, match="refuses one mail after the other alike") as caught:
        deliver_due()
    assert said.split()[0] in str(caught.value)
    assert named in str(caught.value)
    assert states() == {State.QUEUED: 8, State.FAILED: 0, State.SENT: 0}
    relay.behave()
    OutboxMessage.objects.update(next_attempt_at=timezone.now())
    deliver_due()
    assert states() == {State.QUEUED: 0, State.FAILED: 0, State.SENT: 8}
    assert len(set(relay.accepted)) == len(relay.accepted) == 8


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("RCPT", "550 5.1.1 Nobody here"),
        ("RCPT", "550 Unknown user"),
        ("RCPT", "550 5.2.1 Mailbox disabled"),
        ("MAIL", "552 5.3.4 Message size exceeds fixed limit"),
        ("CONTENT", "552 Message size exceeds maximum permitted"),
    ],
)
def test_ten_unknown_users_have_failed_and_so_have_mails_that_are_too_large(relay, moment, said):
    relay.script = {moment: said}
    store_to_many(10)
    deliver_due()
    assert states() == {State.QUEUED: 0, State.FAILED: 10, State.SENT: 0}


def test_a_mail_that_is_refused_between_others_is_to_blame_itself(relay):
    relay.script = {"CONTENT": [SEND_AS, None, SEND_AS, None, SEND_AS]}
    store_to_many(5)
    deliver_due()
    assert states() == {State.QUEUED: 0, State.FAILED: 3, State.SENT: 2}


def test_a_policy_against_mails_to_one_recipient_may_be_that_recipients(relay):
    relay.script = {"CONTENT": "554 Rejected by policy"}
    store(*["b@example.com"] * 4)
    deliver_due()
    assert states()[State.FAILED] == 4


@pytest.mark.parametrize(
    ("moment", "said"), [("MAIL", SEND_AS), ("RCPT", "554 5.7.1 <a[192.0.2.1]>: Client host rejected: Access denied")]
)
def test_what_is_said_of_us_is_known_although_all_mails_go_to_one_recipient(relay, moment, said):
    relay.script = {moment: said}
    store(*["admin@example.com"] * 4)
    with pytest.raises(TransportUnavailable):
        deliver_due()
    assert states()[State.FAILED] == 0


def test_different_refusals_are_no_alarm(relay):
    relay.script = {"CONTENT": ["554 Rejected by policy", "550 5.7.1 A virus", "554 5.7.1 Rejected by policy"]}
    store_to_many(3)
    deliver_due()
    assert states()[State.FAILED] == 3


def test_what_was_taken_back_is_no_younger_and_is_given_up_when_it_is_too_old(relay, settings):
    relay.script = {"MAIL": SEND_AS}
    store_to_many(2)
    long_ago = timezone.now() - timedelta(days=4)
    OutboxMessage.objects.update(queued_at=long_ago)
    with pytest.raises(TransportUnavailable):
        deliver_due()
    assert set(OutboxMessage.objects.values_list("queued_at", flat=True)) == {long_ago}
    settings.MAIL_GIVE_UP_DAYS = 3
    somebody_was_there_for(days=4)
    OutboxMessage.objects.update(next_attempt_at=timezone.now())
    deliver_due()
    assert states() == {State.QUEUED: 0, State.FAILED: 2, State.SENT: 0}


def test_the_alarm_can_be_seen_while_it_lasts_and_ends_by_itself(relay):
    relay.script = {"MAIL": SEND_AS}
    store_to_many(4)
    with running(Worker()):
        wait_until(RelayOutage.objects.exists)
        assert "refuses one mail after the other alike" in RelayOutage.objects.get().reason
        relay.behave()
        wait_until(lambda: states()[State.SENT] == 4)
        wait_until(lambda: not RelayOutage.objects.exists())


def refuse(relay, *senders):
    """Let the relay refuse these senders alone."""

    def answer():
        said = next(line for line in reversed(relay.heard) if line.startswith("MAIL"))
        return SEND_AS if any(f"<{each}>" in said for each in senders) else None

    relay.script = {"MAIL": answer}


def store_mixed(good, bad, senders=("bad@example.com",)):
    """Store so many mails of good senders, and those of bad ones between them, one of these in front."""
    for number in range(max(good, bad)):
        if number < bad:
            EmailMessage("Hi", "Hello", senders[number % len(senders)], [f"b{number}@example.com"]).send()
        if number < good and number:
            EmailMessage("Hi", "Hello", f"good{number % 7}@example.com", [f"c{number}@example.com"]).send()
    EmailMessage("Hi", "Hello", "good@example.com", ["c@example.com"]).send()


@pytest.mark.parametrize("senders", [["bad@example.com"], ["bad@example.com", "worse@example.com"]])
def test_a_sender_that_is_refused_keeps_nobody_elses_mail_waiting(relay, senders):
    refuse(relay, *senders)
    store_mixed(200, 20, senders)
    with pytest.raises(TransportUnavailable, match="refuses one mail after the other alike"):
        deliver_due()
    assert states() == {State.QUEUED: 20, State.FAILED: 0, State.SENT: 200}
    assert relay.sessions < 20
    kept = OutboxMessage.objects.filter(state=State.QUEUED)
    assert {message.envelope_sender for message in kept} == set(senders)
    assert all("MAIL_SENDER" in message.last_reply for message in kept)


def test_mails_of_a_refused_sender_end_when_they_are_too_old(relay):
    somebody_was_there_for(days=6)
    refuse(relay, "bad@example.com")
    store_mixed(3, 20)
    with pytest.raises(TransportUnavailable):
        deliver_due()
    OutboxMessage.objects.update(next_attempt_at=timezone.now())
    old = OutboxMessage.objects.filter(state=State.QUEUED).order_by("-pk")[:12].values_list("pk", flat=True)
    OutboxMessage.objects.filter(pk__in=list(old)).update(queued_at=timezone.now() - timedelta(days=6))
    with pytest.raises(TransportUnavailable):
        deliver_due()
    assert states() == {State.QUEUED: 8, State.FAILED: 12, State.SENT: 3}


def test_a_worker_sends_the_others_mail_during_an_alarm_and_the_senders_when_it_is_mended(relay):
    refuse(relay, "bad@example.com")
    store_mixed(30, 5)
    with running(Worker()):
        wait_until(lambda: states()[State.SENT] == 30 and RelayOutage.objects.exists())
        assert not RelayOutage.objects.for_all().exists()
        EmailMessage("Hi", "Hello", "late@example.com", ["d@example.com"]).send()
        wait_until(lambda: states()[State.SENT] == 31)
        relay.behave()
        wait_until(lambda: states()[State.SENT] == 36)
        wait_until(lambda: not RelayOutage.objects.exists())


@pytest.mark.parametrize("senders", [["bad@example.com"], ["a@example.com", "b@example.com", "c@example.com"]])
@pytest.mark.parametrize(("said", "number"), [(SEND_AS, 2), ("554 5.7.1 Rejected by policy", 3)])
def test_no_mail_fails_while_an_alarm_goes_on(relay, said, number, senders):
    relay.script = {"MAIL": said}
    for each in range(number):
        EmailMessage("Hi", "Hello", senders[each % len(senders)], [f"b{each}@example.com"]).send()
    for _ in range(5):
        OutboxMessage.objects.update(next_attempt_at=timezone.now())
        with pytest.raises(TransportUnavailable):
            deliver_due()
        assert states()[State.QUEUED] == number


def test_many_senders_that_are_refused_alike_are_a_fault_of_the_settings(relay):
    relay.script = {"RCPT": "554 5.7.1 <b@example.com>: Relay access denied"}
    for number in range(40):
        EmailMessage("Hi", "Hello", f"a{number}@example.com", [f"b{number}@example.com"]).send()
    with pytest.raises(TransportUnavailable) as caught:
        deliver_due()
    assert not caught.value.senders
    assert states() == {State.QUEUED: 40, State.FAILED: 0, State.SENT: 0}
