"""What Postfix says when it is told to be strict, and what becomes of the mail."""

import smtplib

import pytest
from django.db.models.functions import Now

from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import OutboxMessage, State
from flasky.mail.transports import TransportUnavailable, borrow
from flasky.mail.transports.replies import Verdict
from tests.conftest import running, wait_until
from tests.foreign.servers.postfix import LOGINS
from tests.foreign.servers.test_servers import sent, store
from tests.mail.transports.handing_over import a_message, deliver, verdicts

ACCEPTED, REFUSED, POSTPONED = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.POSTPONED
AS_ANN, AS_BEN = ({"MAIL_USERNAME": name, "MAIL_PASSWORD": password} for name, password in LOGINS)
PEOPLE = ["b@example.com", "c@example.com", "d@example.com", "e@example.com", "f@example.com"]


@pytest.fixture
def postfix(running_postfix, through):
    through(running_postfix.plain)
    return running_postfix


def make_due():
    OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=Now())


def test_mail_for_others_is_refused_for_now_and_those_whom_it_is_for_have_theirs(postfix):
    replies = deliver(a_message("b@example.com", "b@elsewhere.example"))
    assert verdicts(replies) == {"b@example.com": ACCEPTED, "b@elsewhere.example": POSTPONED}
    assert "454 4.7.1 <b@elsewhere.example>: Relay access denied" in replies["b@elsewhere.example"].text


@pytest.mark.django_db(transaction=True)
def test_a_greylisted_mail_comes_with_the_next_attempt(postfix, through):
    through(postfix.greylisting)
    [message] = store(1)
    assert deliver_due() == {State.QUEUED: 1}
    message.refresh_from_db()
    assert "450 4.2.0" in message.last_reply
    assert "Greylisted" in message.last_reply
    wait_until(lambda: make_due() or deliver_due() == {State.SENT: 1})
    assert postfix.the_copy_of(message)


@pytest.mark.django_db(transaction=True)
def test_more_recipients_than_a_mail_may_have_get_it_one_after_the_other(postfix, through):
    through(postfix.few_recipients)
    [message] = store(1, to=PEOPLE)
    wait_until(lambda: make_due() or deliver_due() == {State.SENT: 1})
    wait_until(lambda: len(postfix.copies([message])[message.message_id]) == 3)
    outcomes = OutboxMessage.objects.get().outcomes
    assert {address for address in PEOPLE if outcomes[address]["accepted"]} == set(PEOPLE)


def test_too_many_wrong_addresses_end_the_connection_and_the_rest_follows_on_another(postfix, through):
    through(postfix.few_errors)
    unknown = ["nobody@example.com", "b@elsewhere.example", "c@elsewhere.example", "d@elsewhere.example"]
    replies = deliver(a_message(*unknown, "b@example.com"))
    assert replies["b@example.com"].verdict == ACCEPTED
    assert replies["nobody@example.com"].verdict == REFUSED
    assert {replies[address].text[:9] for address in unknown[1:]} == {"454 4.7.1"}


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_makes_the_mail_wait(postfix, through):
    through(postfix.full)
    [message] = store(1)
    assert deliver_due() == {State.QUEUED: 1}
    message.refresh_from_db()
    assert message.last_reply == "452 4.3.1 Insufficient system storage"


def test_a_certificate_that_has_expired_is_not_trusted(postfix, through, trusted):
    through(postfix.expired, host="localhost", MAIL_USE_TLS=True)
    with pytest.raises(TransportUnavailable, match="is not trusted: certificate has expired"):
        deliver()


def test_too_many_connections_are_called_crowding(postfix, through):
    through(postfix.few_connections)
    with smtplib.SMTP("127.0.0.1", postfix.few_connections.port):
        with pytest.raises(TransportUnavailable, match=r"421 4\.7\.0 .*too many connections.*MAIL_MAX_CONN") as caught:
            deliver()
        assert caught.value.is_crowded


@pytest.mark.django_db(transaction=True)
def test_many_threads_at_a_server_that_takes_one_connection_bring_all_mails(postfix, through):
    through(postfix.few_connections)
    messages = store(40)
    with running(Worker()) as worker:
        wait_until(lambda: worker.wake() or sent() == 40, 60)
    assert all(len(paths) == 1 for paths in postfix.wait_for(messages).values())
    assert not OutboxMessage.objects.exclude(attempt_count=1).exists()


def test_mails_that_come_too_fast_are_called_crowding_and_nobodys_fault(postfix, through):
    through(postfix.few_mails)
    with pytest.raises(TransportUnavailable, match=r"450 4\.7\.1 Error: too much mail from.*MAIL_RATE") as caught:
        for _ in range(3):
            deliver()
    assert caught.value.is_crowded


def test_a_strict_server_takes_our_name_and_our_commands(postfix, through):
    through(postfix.strict)
    with borrow() as transport:
        replies = transport.deliver_each([a_message(), a_message(), a_message()])
        assert [verdicts(reply) for reply in replies] == [{"b@example.com": ACCEPTED}] * 3


def test_a_name_that_it_does_not_take_is_no_mails_fault(postfix, through):
    through(postfix.strict, MAIL_EHLO_NAME="django")
    with pytest.raises(TransportUnavailable, match=r"504 5\.5\.2 <django>: Helo command rejected.*MAIL_EHLO_NAME"):
        deliver()


def test_a_server_that_knows_nothing_but_ascii_gets_the_text_as_well(postfix, through):
    through(postfix.old)
    message = a_message(body="Grüße, καλημέρα\r\n")
    assert verdicts(deliver(message)) == {"b@example.com": ACCEPTED}
    copy = postfix.the_copy_of(message)
    assert copy.get_content().strip() == "Grüße, καλημέρα"
    assert copy["Content-Transfer-Encoding"] in ("quoted-printable", "base64")


# --- What Postfix has against us it says at RCPT, as if it were the recipient's fault -----------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("port", "wrong", "said", "right"),
    [
        ("login", {}, "Client host rejected: Access denied. .*MAIL_USERNAME and MAIL_PASSWORD", AS_ANN),
        ("own_senders", {}, "Sender address rejected: not logged in. .*MAIL_USERNAME and MAIL_PASSWORD", AS_ANN),
        ("own_senders", AS_BEN, "Sender address rejected: not owned by user .*MAIL_SENDER", AS_ANN),
        (
            "strict_at_rcpt",
            {"MAIL_EHLO_NAME": "django"},
            "Helo command rejected: .*MAIL_EHLO_NAME",
            {"MAIL_EHLO_NAME": "django.example.com"},
        ),
    ],
    ids=["no login", "the sender's login is missing", "another's login", "a short name"],
)
def test_a_setting_that_is_wrong_keeps_all_mails_until_it_is_right(
    postfix, through, trusted, settings, port, wrong, said, right
):
    through(getattr(postfix, port), host="localhost", MAIL_USE_TLS=True, MAIL_WORKERS=1, **wrong)
    messages = store(4)
    with pytest.raises(TransportUnavailable, match=f"refuses one mail after the other alike.* {said}"):
        deliver_due()
    assert set(OutboxMessage.objects.values_list("state", flat=True)) == {State.QUEUED}
    for name, value in right.items():
        setattr(settings, name, value)
    make_due()
    assert deliver_due() == {State.SENT: 4}
    assert all(len(paths) == 1 for paths in postfix.wait_for(messages).values())
