"""flasky.mail.status.explanations: what people must be told, in sentences."""

from datetime import datetime, timedelta
from datetime import timezone as zones

import pytest
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from django.utils import timezone

from flasky.mail.models import OutboxMessage, Process, RelayOutage, State
from flasky.mail.status.alerts import DELIVERERS, delivery_notice, overdue, somebody_delivers
from flasky.mail.status.explanations import about, pruned, why

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 3, 12, 2, 11, tzinfo=zones.utc)
NOBODY = f"Nobody delivers: no process has given a sign of life in the last 60 s. {DELIVERERS}"


@pytest.fixture
def process():
    Process.objects.heartbeat("host 12", 4)


def store(due_for=timedelta(0), **changes):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    changes.setdefault("next_attempt_at", timezone.now() - due_for)
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(**changes)
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


# The outbox as a whole


def notices():
    """Return what the strip says: of each relay that takes no mail, and of delivery."""
    outages = [str(outage) for outage in RelayOutage.objects.current()]
    return [*outages, *filter(None, [delivery_notice(bool(outages), somebody_delivers())])]


def test_an_outbox_that_is_delivered_needs_no_word(process):
    store()
    store(timedelta(seconds=290))
    assert notices() == []
    assert overdue() == ""


def test_that_nobody_delivers_is_said_before_anything_is_overdue():
    assert notices() == [NOBODY]


def test_a_process_that_is_silent_delivers_nothing(process):
    Process.objects.update(seen_at=Now() - timedelta(seconds=61))
    assert notices() == [NOBODY]


def test_inline_delivery_needs_no_process(settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    assert notices() == []


def test_overdue_mail_is_counted_and_the_oldest_named(process):
    store(timedelta(minutes=6))
    store(timedelta(days=3, hours=1))
    assert notices() == [
        f"2 messages are overdue, the oldest by 3 days. Nobody delivers, or not fast enough. {DELIVERERS}"
    ]


def test_a_count_of_overdue_mail_has_an_end(process, monkeypatch):
    monkeypatch.setattr("flasky.mail.status.alerts.MOST_OVERDUE_COUNTED", 1)
    store(next_attempt_at=timezone.now() - timedelta(days=3))
    store(next_attempt_at=timezone.now() - timedelta(days=2))
    assert overdue() == "More than 1 messages are overdue, the oldest by 3 days."


def test_of_overdue_mail_it_is_said_once_that_nobody_delivers():
    store(timedelta(minutes=6))
    assert " ".join(notices()).count("Nobody delivers") == 1


def test_while_a_relay_is_away_it_is_not_said_that_nobody_delivers(process):
    store(timedelta(minutes=6))
    RelayOutage.objects.note("relay.test:25", "It was away.", timezone.now())
    assert notices() == [str(RelayOutage.objects.get()), "1 message is overdue, the oldest by 6 minutes."]


def test_when_the_process_that_probes_a_relay_has_died_both_are_said():
    store(timedelta(minutes=6))
    RelayOutage.objects.note("relay.test:25", "It was away.", timezone.now())
    late = "1 message is overdue, the oldest by 6 minutes."
    assert notices() == [str(RelayOutage.objects.get()), f"{late} {NOBODY}"]


def test_an_outage_that_nobody_probes_any_more_is_no_news(process):
    store(timedelta(minutes=6))
    RelayOutage.objects.note("old.test:25", "It was away.", timezone.now() - timedelta(minutes=6))
    [notice] = notices()
    assert "Nobody delivers" in notice


# Why a message is in its state


def test_a_due_message_waits_for_a_free_thread(process):
    assert why(store()) == "It is due and waits for a free thread."


def test_a_due_message_that_nobody_delivers_says_what_to_do():
    assert why(store()) == f"It is due, but nobody delivers. {DELIVERERS}"


def test_a_due_message_waits_for_the_relay_that_takes_no_mail(process):
    RelayOutage.objects.note("relay.test:25", "It refused the login.", timezone.now())
    RelayOutage.objects.update(since=NOON, next_probe_at=timezone.now().replace(2099, 11, 3, 12, 3, 0))
    assert why(store()) == (
        "It waits for the relay, which has taken no mail since 3 Nov 2026, 12:02:11 UTC: It refused the login. "
        "Next probe at 3 Nov 2099, 12:03:00 UTC."
    )


def test_a_due_message_that_is_delivered_inline_goes_with_the_next_one(settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    assert why(store()) == (
        "It is due, and goes with the next mail that is stored; manage.py deliver_mail delivers it now."
    )


def test_a_message_for_later_names_the_time_and_the_reply(process):
    message = store(next_attempt_at=NOON.replace(year=2099), last_reply="451 4.3.0 Not now")
    sentence = "The next try is at 3 Nov 2099, 12:02:11 UTC, because of the last reply: 451 4.3.0 Not now."
    assert why(message) == sentence
    Process.objects.all().delete()
    assert why(message) == f"{sentence} But nobody delivers at the moment. {DELIVERERS}"


def test_a_message_for_later_without_a_reply_names_the_time(process):
    message = store(next_attempt_at=NOON.replace(year=2099))
    assert why(message) == "The next try is at 3 Nov 2099, 12:02:11 UTC."


def test_a_message_that_is_meant_for_later_names_the_time(process):
    message = store(next_attempt_at=NOON.replace(year=2099), queued_at=NOON.replace(year=2099))
    assert why(message) == "It is to be sent at 3 Nov 2099, 12:02:11 UTC."
    Process.objects.all().delete()
    assert "But nobody delivers" in why(message)


def test_a_reply_for_several_recipients_becomes_one_line_of_bearable_length(process):
    message = store(next_attempt_at=NOON.replace(year=2099), last_reply="bob: 451 Later\ncarl: 452 " + "x" * 1000)
    assert "reply: bob: 451 Later; carl: 452 xxx" in why(message)
    assert why(message).endswith("x…")
    assert len(why(message)) < 400


def test_a_message_that_is_being_sent_names_its_holder_and_the_end_of_its_claim():
    message = store(state=State.SENDING, claimed_by="host 12 mail_0", lease_expires_at=NOON.replace(year=2099))
    assert why(message) == (
        "It is being sent by host 12 mail_0, whose claim lasts until 3 Nov 2099, 12:02:11 UTC, "
        "and longer while that process lives."
    )


def test_a_claim_that_has_run_out_is_called_so(process):
    message = store(state=State.SENDING, claimed_by="host 12 mail_0", lease_expires_at=NOON.replace(year=2020))
    sentence = (
        "It was being sent by host 12 mail_0, whose claim ran out at 3 Nov 2020, 12:02:11 UTC: "
        "whoever delivers next queues it again."
    )
    assert why(message) == sentence
    Process.objects.all().delete()
    assert why(message) == f"{sentence} Nobody does. {DELIVERERS}"


def test_a_held_message_names_who_held_it_last():
    message = store()
    for person in ("Ann", "Bob"):
        OutboxMessage.objects.hold(by=person)
        OutboxMessage.objects.release(by="Carl")
    OutboxMessage.objects.update(state=State.HELD)
    message.refresh_from_db()
    message.actions.update(at=NOON)
    assert why(message) == (
        "It was put on hold by Bob at 3 Nov 2026, 12:02:11 UTC, and waits until a person releases or cancels it."
    )


def test_a_message_that_was_held_before_that_was_noted_names_nobody():
    assert why(store(state=State.HELD)) == "It was put on hold, and waits until a person releases or cancels it."


def test_a_message_that_takes_its_process_down_says_so_whoever_held_it_before():
    message = store()
    OutboxMessage.objects.hold(by="Ann")
    OutboxMessage.objects.release(by="Ann")
    message.state, message.lost_claims, message.claimed_by = State.HELD, 3, "host 12 mail_0"
    assert why(message) == (
        "It is held because 3 times in a row nothing more was heard of the process that was sending it, at last of "
        "host 12 mail_0. Look for the reason in that process's log; then release or cancel it."
    )


def test_a_message_that_nobody_ever_answered_says_how_often_it_may_have_arrived():
    message = store(state=State.HELD, unknown_ends=5, last_reply="No reply to the whole message.")
    assert why(message) == (
        "It is held because 5 times in a row it was handed over and no clear answer came: it may have arrived 5 times. "
        "The last end: No reply to the whole message. Ask a recipient whether it came; then cancel it, or release it "
        "to send it once more."
    )


def test_a_refused_message_names_the_reply_and_the_way_back():
    message = store(
        state=State.FAILED,
        finished_at=NOON,
        last_reply="550 5.1.1 Unknown",
        outcomes={"bob@example.com": {"accepted": False, "reply": "550 5.1.1 Unknown"}},
    )
    sentence = "It was refused for good at 3 Nov 2026, 12:02:11 UTC. The last reply: 550 5.1.1 Unknown."
    assert why(message) == f"{sentence} Mend the cause, then requeue it."
    message.content = b""
    assert why(message) == sentence


def test_a_message_that_was_given_up_names_the_days(settings):
    settings.MAIL_GIVE_UP_DAYS = 7
    message = store(state=State.FAILED, finished_at=NOON, last_reply="451 Not now")
    assert why(message) == (
        "It was given up at 3 Nov 2026, 12:02:11 UTC, after 7 days of trying (MAIL_GIVE_UP_DAYS). "
        "The last reply: 451 Not now. Mend the cause, then requeue it."
    )


def test_a_cancelled_message_names_who_cancelled_it_and_when():
    message = store()
    OutboxMessage.objects.cancel(by="Ann")
    message.actions.update(at=NOON)
    message.refresh_from_db()
    sentence = "It was cancelled by Ann at 3 Nov 2026, 12:02:11 UTC."
    assert why(message) == f"{sentence} Requeue it to send it after all."
    message.content = b""
    assert why(message) == sentence


def test_who_is_not_known_by_name_is_called_somebody():
    message = store()
    OutboxMessage.objects.cancel()
    message.refresh_from_db()
    assert why(message).startswith("It was cancelled by somebody at ")


@pytest.mark.parametrize(
    ("accepted", "for_whom"),
    [
        ([True], "for its one recipient."),
        ([True, True], "for all 2 recipients."),
        ([True, False, False], "for 1 of 3 recipients; the others do not get it."),
        ([True, None], "for 1 of 2 recipients; the others do not get it."),  # given up
    ],
)
def test_a_sent_message_says_when_and_for_how_many_it_was_accepted(accepted, for_whom):
    message = store(state=State.SENT, finished_at=NOON)
    message.recipients = [f"{number}@example.com" for number in range(len(accepted))]
    message.outcomes = {
        address: {"accepted": is_accepted, "reply": ""}
        for address, is_accepted in zip(message.recipients, accepted, strict=True)
        if is_accepted is not None
    }
    assert why(message) == f"The relay accepted it at 3 Nov 2026, 12:02:11 UTC, {for_whom}"


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_sentence_without_a_date_too(state):
    sentence = why(store(state=state))
    assert sentence.startswith(("It ", "The relay "))
    assert "None" not in sentence


# What else must be known


def test_nothing_is_said_about_an_ordinary_message():
    assert about(store()) == []


def test_everything_that_is_unusual_is_said():
    message = store()
    message.possible_duplicate, message.content = True, b""
    assert [sentence.split()[0] for sentence in about(message)] == ["It", "The"]


def test_what_the_state_explains_is_not_said_twice():
    assert about(store(state=State.HELD)) == []


def test_a_pruned_message_that_never_ended_has_no_date():
    message = store()
    message.content = b""
    assert pruned(message) == "The body was pruned: bodies of old messages are not kept."
