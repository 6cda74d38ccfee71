"""flasky.mail.delivery.engine: claim, send, record."""

import logging
import os
from datetime import datetime, timedelta, timezone

import pytest
from django.core.mail import EmailMessage
from django.db import DataError, connection
from django.utils.timezone import now as timezone_now
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail import transports
from flasky.mail.delivery import engine, retries
from flasky.mail.delivery.batches import Batch
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.delivery.retries import next_attempt_at
from flasky.mail.models import Attempt, OutboxMessage, Priority, State
from flasky.mail.transports import TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict
from tests.clocks import somebody_was_there_for
from tests.conftest import use_relay

pytestmark = pytest.mark.django_db(transaction=True)


def store(*recipients, subject="Hi", priority="normal"):
    email = EmailMessage(subject, "Hello", "ann@example.com", list(recipients) or ["b@example.com"])
    email.priority = priority
    email.send()
    return email.outbox_message


def after_delivery(message):
    deliver_due()
    message.refresh_from_db()
    return message


def make_due(message, **fields):
    OutboxMessage.objects.filter(pk=message.pk).update(next_attempt_at=message.created_at, **fields)


def test_what_the_relay_accepts_is_sent(relay):
    message = after_delivery(store())
    assert (message.state, message.attempt_count, message.claim_token) == (State.SENT, 1, None)
    assert message.last_reply == "250 2.0.0 Queued as 1"
    assert message.finished_at
    assert message.outcomes == {"b@example.com": {"accepted": True, "reply": "250 2.0.0 Queued as 1"}}


def test_the_attempt_keeps_when_where_and_what_was_said(relay, settings):
    message = after_delivery(store())
    attempt = message.attempts.get()
    assert attempt.outcome == Attempt.Outcome.ACCEPTED
    assert attempt.server == f"127.0.0.1:{settings.MAIL_PORT}"
    assert (attempt.secured, attempt.logged_in) == (False, False)
    assert attempt.reply == message.last_reply
    assert attempt.seconds > 0
    assert "MainThread" in attempt.worker
    assert str(attempt) == f"attempt of {attempt.started_at:%Y-%m-%d %H:%M:%S}"


def test_everything_due_is_delivered_and_counted(relay):
    for _ in range(3):
        store()
    assert deliver_due() == {State.SENT: 3}
    assert len(relay.mails) == 3


def test_with_nothing_due_no_connection_is_made(settings):
    settings.MAIL_TRANSPORT = "no.such.Backend"
    assert deliver_due() == {}


def test_a_refusal_for_good_fails_at_once(relay):
    relay.replies = {"RCPT": "550 5.1.1 No such user"}
    message = after_delivery(store())
    assert (message.state, message.last_reply) == (State.FAILED, "550 5.1.1 No such user")
    assert message.attempts.get().outcome == Attempt.Outcome.REFUSED


def test_a_refusal_for_now_is_tried_again_later_and_then_sent(relay):
    relay.replies = {"RCPT": ["451 4.3.0 Try later"]}
    message = after_delivery(store())
    assert (message.state, message.attempt_count) == (State.QUEUED, 1)
    assert message.next_attempt_at > message.created_at + timedelta(seconds=4)
    assert not OutboxMessage.objects.due().exists()
    make_due(message)
    assert after_delivery(message).state == State.SENT
    assert [attempt.outcome for attempt in message.attempts.all()] == ["postponed", "accepted"]


def test_only_the_recipients_that_were_refused_for_now_are_tried_again(relay):
    relay.replies = {"no@example.com": "550 5.1.1 No such user", "full@example.com": ["452 4.2.2 Full"]}
    message = after_delivery(store("yes@example.com", "no@example.com", "full@example.com"))
    assert message.attempts.get().outcome == Attempt.Outcome.PARTLY
    assert message.remaining_recipients == ["full@example.com"]
    make_due(message)
    assert after_delivery(message).state == State.SENT
    assert [mail.recipients for mail in relay.mails] == [["yes@example.com"], ["full@example.com"]]
    assert not message.outcomes["no@example.com"]["accepted"]


def test_recipients_over_the_relays_limit_go_at_once_in_a_mail_of_their_own(relay):
    relay.replies = {"c@example.com": ["452 4.5.3 Too many recipients"]}
    message = after_delivery(store("b@example.com", "c@example.com"))
    assert message.remaining_recipients == ["c@example.com"]
    assert message.next_attempt_at < timezone_now() + timedelta(seconds=2)


def test_a_relay_that_says_when_to_come_back_is_obeyed(relay):
    relay.replies = {"RCPT": ["450 4.2.0 Greylisted, please try again in 300 seconds"]}
    message = after_delivery(store())
    wait = (message.next_attempt_at - timezone_now()).total_seconds()
    assert 290 < wait < 335


def test_a_refusal_for_now_fails_after_the_days_of_the_setting(relay, settings):
    settings.MAIL_GIVE_UP_DAYS = 5
    somebody_was_there_for(days=6)
    relay.replies = {"RCPT": "451 4.3.0 Try later"}
    message = store()
    make_due(message, queued_at=message.created_at - timedelta(days=5, minutes=1))
    assert after_delivery(message).state == State.FAILED


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"recipients": []}, State.FAILED),
        ({"outcomes": {"b@example.com": {"accepted": False, "reply": "550 No"}}}, State.FAILED),
        ({"outcomes": {"b@example.com": {"accepted": True, "reply": "250 Ok"}}}, State.SENT),
    ],
)
def test_what_nobody_is_left_to_get_is_not_called_accepted_by_its_attempt(relay, fields, state):
    """No part of the software stores such a message; a person with a database shell may."""
    message = store()
    make_due(message, **fields)
    message = after_delivery(message)
    attempt = message.attempts.get()
    assert (message.state, attempt.outcome) == (state, Attempt.Outcome.REFUSED)
    assert attempt.reply == message.last_reply == "It was handed over to nobody: none of its recipients is left."
    assert relay.mails == []


def test_a_repeat_carries_the_same_message_id_and_date(relay):
    relay.replies = {"DATA": ["451 4.3.0 Not now"]}
    message = after_delivery(store())
    make_due(message)
    after_delivery(message)
    [received] = relay.mails
    assert received.message["Message-ID"] == message.message_id
    assert received.content == bytes(message.content) + b"\r\n"


def test_no_reply_to_the_whole_message_is_noted_as_a_possible_duplicate(relay):
    relay.replies = {"DATA": ["drop"]}
    message = after_delivery(store())
    assert (message.state, message.possible_duplicate) == (State.QUEUED, True)
    assert message.attempts.get().outcome == Attempt.Outcome.UNKNOWN


def test_a_relay_that_is_down_costs_no_message_an_attempt(settings, smtp_server):
    use_relay(settings, smtp_server)
    settings.MAIL_PORT = 1
    message = store()
    with pytest.raises(TransportUnavailable):
        deliver_due()
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.claim_token) == (State.QUEUED, 0, None)


def test_a_relay_that_goes_away_between_two_mails_costs_no_attempt(relay, settings, monkeypatch):
    """The second mail is claimed already when the connection turns out to be gone for good."""
    first, second = store(), store()
    monkeypatch.setattr(transports.base, "KEEP_MAILS", 1)
    original = transports.Transport.open

    def open_once(transport):
        original(transport)
        settings.MAIL_PORT = 1
        transport.backend.port = 1

    monkeypatch.setattr(transports.Transport, "open", open_once)
    with pytest.raises(TransportUnavailable):
        deliver_due()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state, second.attempt_count) == (State.SENT, State.QUEUED, 0)


def test_one_message_that_cannot_be_handled_does_not_stop_the_others(relay, caplog):
    broken, fine = store(subject="broken"), store(subject="fine")
    OutboxMessage.objects.filter(pk=broken.pk).update(recipients=["ö@example.com"])
    deliver_due()
    broken.refresh_from_db()
    fine.refresh_from_db()
    assert fine.state == State.SENT
    assert (broken.state, broken.attempt_count) == (State.FAILED, 1)
    assert "takes no address outside ASCII" in caplog.text


def test_a_claim_that_was_taken_over_meanwhile_is_only_noted_in_the_history(relay, caplog):
    message = store()
    [claimed] = OutboxMessage.objects.claim(1)
    OutboxMessage.objects.update(claim_token=None, state=State.QUEUED)
    with transports.borrow() as transport:
        assert list(engine.deliver([claimed], transport)) == ["lost"]
    message.refresh_from_db()
    assert message.state == State.QUEUED
    attempt = message.attempts.get()
    assert (attempt.outcome, attempt.reply) == (Attempt.Outcome.LATE, "250 2.0.0 Queued as 1")
    assert "somebody else took it over" in caplog.text
    assert caplog.records[-1].fields["state"] == "lost"


def test_stop_claims_nothing_more(relay):
    for _ in range(3):
        store()
    assert deliver_due(stop=lambda: bool(relay.mails)) == {State.SENT: 1}
    assert OutboxMessage.objects.due().count() == 2


def test_no_database_connection_is_held_while_waiting_for_the_relay(relay, monkeypatch):
    """Otherwise a slow relay would pin one connection for each thread; a SQLite file is no server's resource."""
    held = []
    original = transports.SmtpTransport.deliver

    def look(*arguments):
        held.append(connection.in_atomic_block or (connection.connection and connection.vendor != "sqlite"))
        return original(*arguments)

    monkeypatch.setattr(transports.SmtpTransport, "deliver", look)
    for _ in range(5):
        store()
    deliver_due()
    assert len(held) == 5
    assert not any(held)


def test_the_log_names_no_full_address(relay, capsys):
    """Checked on the formatter that the settings install; caplog has its own."""
    relay.replies = {"RCPT": "550 5.1.1 <secret.person@example.com>: unknown"}
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("flasky").addHandler(handler)
    after_delivery(store("secret.person@example.com"))
    logging.getLogger("flasky").removeHandler(handler)
    formatter = logging.getLogger().handlers[0].formatter
    assert any("s…@example.com" in formatter.format(record) for record in records)


@pytest.fixture
def log(caplog):
    """Return the fields of each line that the outcome of an attempt has left."""
    caplog.set_level(logging.INFO)
    return lambda: [record.fields for record in caplog.records if hasattr(record, "fields")]


def test_each_outcome_is_one_line_that_says_what_was_tried_and_what_came_of_it(relay, log):
    message = store()
    OutboxMessage.objects.update(request_id="7f3c2a", queued_at=timezone_now() - timedelta(seconds=100))
    message = after_delivery(message)
    [fields] = log()
    waited, worker = fields.pop("waited"), fields.pop("worker")
    assert 100 <= waited <= 160
    assert str(os.getpid()) in worker
    assert fields == {
        "message_number": message.pk,
        "state": "sent",
        "outcome": "accepted",
        "attempt": 1,
        "server": f"127.0.0.1:{relay.port}",
        "seconds": round(message.attempts.get().seconds, 3),
        "request_id": "7f3c2a",
    }


def test_each_attempt_has_its_number_in_the_log(relay, log):
    message = store()
    for reply in ("451 later", "550 no"):
        relay.replies = {"RCPT": reply}
        make_due(message)
        after_delivery(message)
    lines = [(fields["attempt"], fields["state"], fields["outcome"]) for fields in log()]
    assert lines == [(1, "queued", "postponed"), (2, "failed", "refused")]


def test_an_outcome_is_one_line_whatever_the_relay_says(relay, caplog):
    relay.replies = {"RCPT": "550-no\r\n550 Message 1 sent: 250 OK"}
    message = after_delivery(store())
    assert "\n" in message.last_reply
    [line] = [record.getMessage() for record in caplog.records if hasattr(record, "fields")]
    assert line == f"Message {message.pk} failed: 550 no; Message 1 sent: 250 OK"


NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("age", "pause"),
    [(0, 5), (5, 15), (20, 60), (80, 300), (380, 900), (1280, 3600), (4880, 10800), (15680, 21600), (400_000, 21600)],
)
def test_the_pause_grows_with_the_messages_age(age, pause):
    wait = (next_attempt_at(NOW - timedelta(seconds=age), NOW) - NOW).total_seconds()
    assert pause * 0.9 <= wait <= pause * 1.1


@pytest.mark.parametrize(("hint", "pause"), [(0, 1), (300, 300), (10**6, 6 * 3600)])
def test_the_relays_wish_is_obeyed_within_limits(hint, pause):
    wait = (next_attempt_at(NOW, NOW, hint) - NOW).total_seconds()
    assert pause <= wait <= pause * 1.1


@pytest.mark.parametrize("text", ["450 Try again in 1 s", "450 Try again in 0 seconds", "450 Try again in 00:00:00"])
def test_a_relay_that_always_wants_to_be_asked_again_at_once_is_not_asked_each_second_for_days(text):
    asked, age, replies = 0, 0.0, {"b@example.com": Reply(Verdict.POSTPONED, text, "RCPT")}
    while age < 5 * 86400:
        hint = retries.wanted_pause(replies)
        age += (next_attempt_at(NOW - timedelta(seconds=age), NOW, hint) - NOW).total_seconds()
        asked += 1
    assert asked < 200


VERDICTS = [Verdict.ACCEPTED, Verdict.POSTPONED, Verdict.REFUSED, Verdict.UNKNOWN]
TEXTS = ["No reply", "452 4.5.3 Too many recipients", "450 Try again in 3 s", "250 Ok"]


@given(st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from(TEXTS)), min_size=1, max_size=4))
def test_whoever_may_have_the_mail_gets_it_no_sooner_than_the_plan_says(said):
    replies = {f"b{number}@x": Reply(verdict, text, "RCPT") for number, (verdict, text) in enumerate(said)}
    verdicts = {verdict for verdict, _ in said}
    wish = retries.wanted_pause(replies)
    if Verdict.UNKNOWN in verdicts:
        assert wish is None
    if wish == 0:
        assert verdicts & {Verdict.ACCEPTED, Verdict.REFUSED}, "each further attempt must settle somebody"


@given(st.floats(min_value=0, max_value=1e7))
def test_a_next_attempt_is_always_later_and_within_a_day(age):
    wait = next_attempt_at(NOW - timedelta(seconds=age), NOW) - NOW
    assert timedelta(0) < wait < timedelta(days=1)


def claim_three(relay):
    for _ in range(3):
        store()
    return OutboxMessage.objects.claim(3)


def marks_after_the_lease():
    OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=timezone_now() - timedelta(seconds=1))
    OutboxMessage.objects.take_over_expired()
    return list(OutboxMessage.objects.order_by("pk").values_list("state", "possible_duplicate"))


def test_what_breaks_off_during_a_dialogue_leaves_the_claim_to_its_lease(relay, monkeypatch):
    """Only the lease's end can tell that the message on the wire is in doubt, and the others are not."""
    claim = claim_three(relay)

    def interrupt(transport, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(transports.SmtpTransport, "_leave_ready", interrupt)
    with pytest.raises(KeyboardInterrupt), transports.borrow() as transport:
        list(engine.deliver(claim, transport))
    assert len(relay.mails) == 1
    assert marks_after_the_lease() == [(State.QUEUED, True), (State.QUEUED, False), (State.QUEUED, False)]


def test_a_reply_that_cannot_be_recorded_leaves_the_claim_to_its_lease(relay, monkeypatch):
    claim = claim_three(relay)

    def fail(result):
        raise DataError("no column takes this value")

    monkeypatch.setattr(engine, "record", fail)
    with pytest.raises(DataError), transports.borrow() as transport:
        list(engine.deliver(claim, transport))
    assert marks_after_the_lease() == [(State.QUEUED, True), (State.QUEUED, False), (State.QUEUED, False)]


def test_a_stop_gives_back_what_is_left_of_the_claim(relay):
    claim = claim_three(relay)
    with transports.borrow() as transport:
        assert list(engine.deliver(claim, transport, stop=lambda: True)) == [State.SENT]
    states = OutboxMessage.objects.order_by("pk").values_list("state", "attempt_count", "claim_token")
    assert list(states) == [(State.SENT, 1, None), (State.QUEUED, 0, None), (State.QUEUED, 0, None)]


def test_whoever_stops_counting_gives_back_what_is_left_of_the_claim(relay):
    claim = claim_three(relay)
    with transports.borrow() as transport:
        states = engine.deliver(claim, transport)
        assert next(states) == State.SENT
        states.close()
    assert OutboxMessage.objects.due().count() == 2


def test_a_relay_that_goes_away_puts_the_message_whose_turn_it_was_behind_the_others(relay):
    first, second, third = claim_three(relay)
    relay.replies = {"MAIL": "421 4.3.2 Shutting down"}
    with pytest.raises(TransportUnavailable), transports.borrow() as transport:
        list(engine.deliver([first, second, third], transport))
    assert OutboxMessage.objects.claim(3) == [second, third, first]


def test_a_claim_that_gets_nothing_by_another_threads_count_is_followed_by_a_count_of_its_own(relay, monkeypatch):
    """The bulk mail came after the count, and was stored by somebody who cannot wake us."""
    store(priority="bulk")
    batches = iter([Batch(1, [Priority.NORMAL], is_counted=False), Batch(1, [Priority.BULK], is_counted=True)])
    monkeypatch.setattr(engine, "next_batch", lambda pace: next(batches, Batch(0, [], is_counted=True)))
    assert deliver_due() == {State.SENT: 1}


def test_the_urgent_overtakes_what_was_stored_before_it(relay, settings):
    settings.MAIL_WORKERS = 1
    for priority in ["bulk", "normal", "bulk", "normal", "urgent"]:
        store(subject=priority, priority=priority)
    assert deliver_due() == {State.SENT: 5}
    assert [mail.message["Subject"] for mail in relay.mails] == ["urgent", "normal", "normal", "bulk", "bulk"]


def test_what_was_taken_by_somebody_else_meanwhile_does_not_keep_the_rest_waiting(relay, monkeypatch):
    """The other has the only urgent message; this one must not end before the normal ones are delivered."""
    store()
    batch = Batch(1, [Priority.URGENT, Priority.NORMAL], is_counted=True)
    monkeypatch.setattr(engine, "next_batch", lambda pace: batch)
    assert deliver_due() == {State.SENT: 1}
