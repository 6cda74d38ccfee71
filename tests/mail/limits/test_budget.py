"""flasky.mail.limits.budget and releasing: how many messages may be stored, and what becomes of the others."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.mail import EmailMessage, mail_admins
from django.db import connection, connections, transaction  # noqa: F401
from django.utils import timezone

from flasky.mail import OutboxFull, ensure_room
from flasky.mail.backend import OutboxEmailBackend
from flasky.mail.delivery import deliver_due
from flasky.mail.limits import budget, releasing
from flasky.mail.limits.budget import forget
from flasky.mail.limits.releasing import release_what_fits
from flasky.mail.models import FurtherRecipient, OutboxMessage, OverBudget, State

pytestmark = pytest.mark.django_db(transaction=True)

SHARES = ("RECIPIENT", "KIND", "TOTAL", "URGENT")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(budget.logger, "handlers", [])  # the mail about it would be one more message
    forget()
    yield
    forget()


class ErrorMails(logging.Handler):
    def emit(self, record):
        mail_admins("Error", "It went wrong")


def store(count=1, to=("bob@example.com",), kind="", priority="normal"):
    emails = []
    for _ in range(count):
        email = EmailMessage("Hi", "Hello", "ann@example.com", list(to))
        email.kind, email.priority = kind, priority
        email.send()
        emails.append(email.outbox_message)
    return emails


def at_once(*jobs):
    """Do the jobs in threads that begin together; return what they return."""
    together = threading.Barrier(len(jobs), timeout=30)

    def do(job):
        together.wait()
        try:
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(do, jobs))


def states():
    return list(OutboxMessage.objects.order_by("pk").values_list("state", flat=True))


def counts():
    return {state: states().count(state) for state in {*states()}}


def make_older(seconds):
    """Let all that is stored, and all that was released, be older than it is."""
    ago = timedelta(seconds=seconds)
    for message in OutboxMessage.objects.all():
        OutboxMessage.objects.filter(pk=message.pk).update(created_at=message.created_at - ago)
        FurtherRecipient.objects.filter(message=message).update(created_at=message.created_at - ago)
    for over in OverBudget.objects.all():
        over.created_at -= ago
        over.released_at = over.released_at and over.released_at - ago
        over.save()
    forget()


an_hour_later = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600)


def test_what_is_beyond_the_budget_of_a_recipient_is_held_and_the_others_are_not(settings):
    settings.MAIL_BUDGET_RECIPIENT = (3, 0, 0)
    store(5)
    store(2, to=["Eve@example.com"])
    assert states() == [State.QUEUED] * 3 + [State.HELD] * 2 + [State.QUEUED] * 2


def test_the_reason_is_kept(settings):
    settings.MAIL_BUDGET_RECIPIENT = (1,)
    _, held = store(2)
    assert str(held.over_budget) == "more than 1 in 60 s (MAIL_BUDGET_RECIPIENT)"


def test_an_address_in_capitals_is_the_same_recipient(settings):
    settings.MAIL_BUDGET_RECIPIENT = (1,)
    store(to=["Bob@Example.com"])
    store(to=["bob@example.com"])
    assert states() == [State.QUEUED, State.HELD]


def test_a_recipient_is_counted_wherever_in_the_list_it_stands(settings):
    settings.MAIL_BUDGET_RECIPIENT = (2,)
    store(to=["bob@example.com", "eve@example.com"])
    store(to=["eve@example.com", "bob@example.com"])
    store(to=["zoe@example.com", "eve@example.com"])
    store(to=["zoe@example.com"])
    assert states() == [State.QUEUED, State.QUEUED, State.HELD, State.QUEUED]


@pytest.mark.parametrize("share", SHARES)
def test_each_part_of_the_budget_holds_what_is_beyond_it(settings, share):
    setattr(settings, f"MAIL_BUDGET_{share}", (2,))
    store(3, kind="welcome", priority="urgent" if share == "URGENT" else "normal")
    assert states() == [State.QUEUED] * 2 + [State.HELD]


@pytest.mark.parametrize(("numbers", "seconds"), [((2,), 60), ((0, 2), 3600), ((0, 0, 2), 86400)])
def test_the_numbers_are_for_a_minute_an_hour_and_a_day(settings, numbers, seconds):
    settings.MAIL_BUDGET_TOTAL = numbers
    store(2)
    make_older(seconds - 5)
    store()
    make_older(10)
    store()
    assert states() == [State.QUEUED, State.QUEUED, State.HELD, State.QUEUED]


def test_a_0_is_no_limit(settings):
    settings.MAIL_BUDGET_TOTAL = settings.MAIL_BUDGET_RECIPIENT = (0, 0, 0)
    store(20)
    assert counts() == {State.QUEUED: 20}


def test_urgent_messages_have_a_budget_of_their_own(settings):
    settings.MAIL_BUDGET_TOTAL, settings.MAIL_BUDGET_RECIPIENT, settings.MAIL_BUDGET_URGENT = (1,), (1,), (2,)
    store(3)
    settings.MAIL_BUDGET_RECIPIENT = ()
    store(3, priority="urgent")
    assert states() == [State.QUEUED, State.HELD, State.HELD, State.QUEUED, State.QUEUED, State.HELD]


def test_urgent_messages_are_counted_for_each_recipient_wherever_it_stands(settings):
    settings.MAIL_BUDGET_RECIPIENT = (2,)
    store(2, to=["ann@example.com", "bob@example.com"])
    store(2, to=["ann@example.com", "bob@example.com"], priority="urgent")
    store(to=["bob@example.com"], priority="urgent")
    store(to=["eve@example.com"], priority="urgent")
    assert states() == [State.QUEUED] * 4 + [State.HELD, State.QUEUED]


def test_an_error_mail_is_urgent_so_that_a_flood_of_others_does_not_hold_it(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    store(2)
    ErrorMails().handle(logging.makeLogRecord({"msg": "wrong"}))
    last = OutboxMessage.objects.last()
    assert (last.kind, last.priority, last.state) == ("error", "urgent", State.QUEUED)


def test_the_messages_of_one_transaction_count_each_other(settings):
    settings.MAIL_BUDGET_TOTAL = (3,)
    with transaction.atomic():
        store(5)
    OutboxEmailBackend().send_messages([EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"])] * 2)
    assert states() == [State.QUEUED] * 3 + [State.HELD] * 4


def test_what_was_rolled_back_is_not_counted_by_the_others_for_long(settings, monkeypatch):
    settings.MAIL_BUDGET_TOTAL = (2,)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        store(2)
        raise ZeroDivisionError
    store(2)
    assert counts() == {State.QUEUED: 2}


def test_a_limit_that_only_a_transaction_has_reached_that_was_rolled_back_is_not_reached(settings):
    settings.MAIL_BUDGET_TOTAL = (0, 0, 2)
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            store(3)
            raise ZeroDivisionError
        store()
    store(2)
    assert states() == [State.QUEUED] * 2 + [State.HELD]


def test_threads_that_store_at_once_do_not_exceed_the_budget_together(settings):
    settings.MAIL_BUDGET_RECIPIENT = (10,)
    store()  # or the first of each thread, as those of a newsletter, is not counted until it is committed
    at_once(*[lambda: store(5)] * 4)
    assert counts()[State.QUEUED] <= 10  # one that commits while another counts may be counted twice
    release_what_fits()
    assert counts() == {State.QUEUED: 10, State.HELD: 11}


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")
def test_what_another_thread_has_not_committed_yet_is_counted(settings):
    settings.MAIL_BUDGET_TOTAL = (2,)
    stored, looked = threading.Event(), threading.Event()

    def store_slowly():
        with transaction.atomic():
            store()
            stored.set()
            assert looked.wait(30)

    def store_meanwhile():
        assert stored.wait(30)
        store(2)
        looked.set()

    at_once(store_slowly, store_meanwhile)
    assert counts() == {State.QUEUED: 2, State.HELD: 1}


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")
@pytest.mark.parametrize("end", ["open", "rolled back"])
def test_what_another_thread_has_stored_is_counted_while_its_transaction_is_open_however_long(
    settings, monkeypatch, end
):
    settings.MAIL_BUDGET_TOTAL = (2,)
    stored, looked = threading.Event(), threading.Event()

    def store_slowly():
        with suppress(ZeroDivisionError), transaction.atomic():
            with suppress(ZeroDivisionError), transaction.atomic():
                store()
                if end == "rolled back":
                    raise ZeroDivisionError
            stored.set()
            assert looked.wait(30)
            raise ZeroDivisionError

    def store_meanwhile():
        assert stored.wait(30)
        monkeypatch.setattr(budget, "time", an_hour_later)
        store(2)
        looked.set()

    at_once(store_slowly, store_meanwhile)
    assert counts() == ({State.QUEUED: 1, State.HELD: 1} if end == "open" else {State.QUEUED: 2})


def test_a_quiet_process_that_is_far_from_a_limit_counts_seldom(settings, django_assert_num_queries):
    settings.MAIL_BUDGET_TOTAL = (0, 16_000)
    store()
    with django_assert_num_queries(20):
        store(20)


def test_the_recipients_of_a_newsletter_are_not_looked_up_one_by_one(settings, django_assert_num_queries):
    settings.MAIL_BUDGET_RECIPIENT = (30, 200, 1000)
    store()
    with django_assert_num_queries(20):
        for number in range(20):
            store(to=[f"reader{number}@example.com"])


def test_that_a_limit_is_reached_is_known_for_a_moment_without_counting(settings, django_assert_num_queries):
    settings.MAIL_BUDGET_TOTAL = (0, 1)
    store(2)
    with django_assert_num_queries(5 * 5):  # the savepoint or transaction, the ceiling, the two rows
        store(5)


def test_it_is_told_once(settings, caplog):
    settings.MAIL_BUDGET_RECIPIENT = (1,)
    store(4)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(told) == 1
    assert told[0].startswith("The mail budget is used up: more than 1 in 60 s (MAIL_BUDGET_RECIPIENT).")
    assert "bob" not in caplog.text


def test_what_a_transaction_was_to_tell_that_was_rolled_back_is_told_by_the_next(settings, caplog):
    settings.MAIL_BUDGET_RECIPIENT = (1,)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        store(2)
        raise ZeroDivisionError
    with transaction.atomic():
        store(3)
    assert caplog.text.count("The mail budget is used up") == 1


def test_beyond_the_ceiling_nothing_is_stored_and_the_caller_is_told_when_to_come_again(settings):
    settings.MAIL_BUDGET_TOTAL, settings.MAIL_BUDGET_HELD = (1, 1), 2
    store(3)
    with pytest.raises(OutboxFull, match=r"MAIL_BUDGET_HELD allows \(2\).*in 3600 s") as caught:
        store()
    assert caught.value.seconds == 3600
    assert len(states()) == 3


def test_who_wants_to_hear_of_no_error_loses_only_what_there_is_no_room_for(settings):
    settings.MAIL_BUDGET_RECIPIENT, settings.MAIL_BUDGET_HELD = (2,), 1
    emails = [EmailMessage("Hi", "Hello", "a@example.com", [to]) for to in (*["b@example.com"] * 5, "c@example.com")]
    assert OutboxEmailBackend(fail_silently=True).send_messages(emails) == 4
    assert counts() == {State.QUEUED: 3, State.HELD: 1}


def test_whoever_asks_before_writing_is_told_the_same(settings):
    settings.MAIL_BUDGET_TOTAL, settings.MAIL_BUDGET_HELD = (1,), 1
    ensure_room()
    store(2)
    with pytest.raises(OutboxFull):
        ensure_room()


def test_an_urgent_message_within_its_budget_is_taken_beyond_the_ceiling(settings):
    settings.MAIL_BUDGET_TOTAL, settings.MAIL_BUDGET_HELD = (1,), 1
    store(2)
    store(priority="urgent")
    assert states()[-1] == State.QUEUED


def test_without_a_ceiling_everything_is_held(settings):
    settings.MAIL_BUDGET_TOTAL, settings.MAIL_BUDGET_HELD = (1,), 0
    store(20)
    assert counts() == {State.QUEUED: 1, State.HELD: 19}


def test_what_is_held_is_released_when_the_budget_allows_the_oldest_first(settings):
    settings.MAIL_BUDGET_RECIPIENT = (2,)
    store(5)
    assert release_what_fits() == 0
    make_older(61)
    assert release_what_fits() == 2
    assert states() == [State.QUEUED] * 4 + [State.HELD]
    assert release_what_fits() == 0
    make_older(61)
    assert (release_what_fits(), release_what_fits()) == (1, 0)


def test_what_is_released_counts_when_it_is_released(settings):
    settings.MAIL_BUDGET_RECIPIENT = (2,)
    store(4)
    make_older(61)
    release_what_fits()
    store()
    assert states() == [State.QUEUED] * 4 + [State.HELD]


def test_those_of_a_full_recipient_do_not_keep_others_back(settings):
    settings.MAIL_BUDGET_RECIPIENT, settings.MAIL_BUDGET_TOTAL = (1, 1), (2,)
    store(2)
    store(2, to=["eve@example.com"])
    make_older(61)
    assert release_what_fits() == 0
    store(to=["zoe@example.com"])
    store(to=["ida@example.com"])
    store(to=["liv@example.com"])
    assert states()[-3:] == [State.QUEUED, State.QUEUED, State.HELD]
    make_older(61)
    assert release_what_fits() == 1
    assert OutboxMessage.objects.get(first_recipient="liv@example.com").state == State.QUEUED


@pytest.mark.parametrize("decide", [OutboxMessage.objects.cancel, OutboxMessage.objects.release])
def test_what_a_person_has_decided_about_does_not_count(settings, decide):
    settings.MAIL_BUDGET_RECIPIENT = (2, 5)
    store(20)
    decide(by="Ann")
    make_older(61)
    assert [message.state for message in store(4)] == [State.QUEUED] * 2 + [State.HELD] * 2


def test_what_is_for_later_does_not_leave_earlier_for_having_been_held(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    store()
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send_at = tomorrow = timezone.now() + timedelta(days=1)
    email.send()
    make_older(61)
    assert release_what_fits() == 1
    message = OutboxMessage.objects.get(pk=email.outbox_message.pk)
    assert (message.state, message.next_attempt_at, message.queued_at) == (State.QUEUED, tomorrow, tomorrow)


def test_those_of_a_full_kind_keep_no_other_back(settings, monkeypatch):
    monkeypatch.setattr(releasing, "MOST_GROUPS", 3)
    settings.MAIL_BUDGET_KIND, settings.MAIL_BUDGET_TOTAL = (0, 0, 1), ()
    for number in range(6):
        store(to=[f"reader{number}@example.com"], kind="news")
    settings.MAIL_BUDGET_TOTAL = (1,)
    [held] = store(kind="welcome")
    assert held.state == State.HELD
    make_older(61)
    assert release_what_fits() == 1
    assert OutboxMessage.objects.get(pk=held.pk).state == State.QUEUED


def test_more_full_recipients_than_one_look_takes_keep_no_other_back(settings):
    settings.MAIL_BUDGET_RECIPIENT, settings.MAIL_BUDGET_TOTAL = (0, 0, 1), ()
    for number in range(101):
        store(2, to=[f"reader{number}@example.com"])
    settings.MAIL_BUDGET_TOTAL = (101,)
    [held] = store(to=["zoe@example.com"])
    assert held.state == State.HELD
    make_older(61)
    assert release_what_fits() == 1


def test_the_history_says_who_released_it(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    _, held = store(2)
    make_older(61)
    release_what_fits()
    assert [(action.verb, action.actor) for action in held.actions.all()] == [("released", "the mail budget")]


def test_a_person_may_release_it_at_once_and_it_leaves(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    store(3)
    OutboxMessage.objects.filter(state=State.HELD).release(by="Ann")
    deliver_due()
    assert counts() == {State.SENT: 3}


def test_what_a_person_holds_the_budget_does_not_let_go(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    store(2)
    OutboxMessage.objects.all().release(by="Ann")
    OutboxMessage.objects.all().hold(by="Ann")
    make_older(61)
    assert release_what_fits() == 0


def test_two_who_release_at_once_release_each_message_once(settings):
    settings.MAIL_BUDGET_TOTAL = (5,)
    store(15)
    make_older(61)
    released = at_once(*[release_what_fits] * 3)
    assert sum(released) == 5
    assert counts() == {State.QUEUED: 10, State.HELD: 5}


def test_a_message_that_is_removed_takes_the_reason_with_it(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    store(2)
    OutboxMessage.objects.all().cancel(by="Ann")
    OutboxMessage.objects.all().prune()
    assert not OverBudget.objects.exists()


def test_a_budget_that_is_read_by_another_process_is_the_same(settings):
    settings.MAIL_BUDGET_RECIPIENT = (3,)
    store(2)
    forget()
    store(3)
    assert counts() == {State.QUEUED: 3, State.HELD: 2}


def test_a_message_for_later_counts_when_it_is_stored(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send_at = timezone.now() + timedelta(days=1)
    email.send()
    store()
    assert states() == [State.QUEUED, State.HELD]


@pytest.mark.parametrize("priority", ["normal", "urgent"])
@pytest.mark.parametrize("kind", ["", "welcome"])
def test_the_budget_as_it_is_by_default_takes_a_mail_of_every_sort(settings, kind, priority):
    for share in SHARES:
        setattr(settings, f"MAIL_BUDGET_{share}", None)
    store(to=["ann@example.com", "bob@example.com"], kind=kind, priority=priority)
    assert states() == [State.QUEUED]
