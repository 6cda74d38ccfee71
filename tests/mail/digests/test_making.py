"""flasky.mail.digests.making: what was gathered becomes one mail, and nothing is lost or told twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.db import connection, connections
from django.utils import timezone

from flasky.mail import outcome_of
from flasky.mail.delivery import deliver_due
from flasky.mail.delivery.worker import Worker
from flasky.mail.digests import making
from flasky.mail.digests.making import make_digests
from flasky.mail.limits import budget
from flasky.mail.models import MOST_IN_A_DIGEST, Gathered, HourlyCount, OutboxMessage, OverBudget, State
from flasky.mail.wire.rebuild import header, html_body, parse, text_body
from tests.conftest import running, wait_until
from tests.mail.digests.mails import ADMIN, KIND, let_time_pass, make_due, send, states, told_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def little_budget(settings, monkeypatch):
    """Two mails a minute to a recipient, and no error mail about that, which would be one more."""
    monkeypatch.setattr(budget.logger, "handlers", [])
    settings.MAIL_BUDGET_RECIPIENT = (2,)
    budget.forget()
    yield
    budget.forget()


def test_those_that_wait_become_one_mail_in_their_order():
    send(*"abcde")
    [digest] = make_due()
    assert states() == [State.QUEUED] * 2 + [State.GATHERED] * 3 + [State.QUEUED]
    assert told_in(digest) == ["c", "d", "e"]
    mail = parse(digest.content)
    assert header(mail, "Subject") == "[Flasky] 3 new: c d e Yes"
    assert text_body(mail).split() == ["-", "c", "-", "d", "-", "e"]
    assert "<li>d</li>" in html_body(mail)
    assert (digest.kind, digest.recipients, digest.priority) == (f"{KIND}_digest", ["admin@example.com"], "normal")
    assert header(mail, "Auto-Submitted") == "auto-generated"


def test_mails_that_are_erased_while_their_digest_is_made_are_no_error(monkeypatch):
    compose = making._composed

    def too_late(waiting):
        OutboxMessage.objects.filter(pk__in=[each.message_id for each in waiting]).delete()
        return compose(waiting)

    send(*"abcde")
    monkeypatch.setattr(making, "_composed", too_late)
    assert list(make_due()) == []
    assert states() == [State.QUEUED] * 2


def test_it_speaks_the_language_of_its_mails():
    send(*"abcd", language="zh-hans")
    [digest] = make_due()
    assert digest.subject.endswith("是")


def test_before_the_deadline_is_near_nothing_is_made():
    send(*"abcd")
    assert make_digests() == 0
    let_time_pass(260)
    assert make_digests() == 0
    let_time_pass(11)
    assert make_digests() == 1


def test_the_digest_is_made_before_a_mail_would_leave_by_itself():
    send(*"abcd")
    let_time_pass(285)
    make_digests()
    assert OutboxMessage.objects.filter(kind=KIND).due().count() == 2  # the first two


def test_a_short_wait_is_halved_and_not_given_up(settings):
    settings.MAIL_DIGEST_WAIT = 20
    send(*"abcd")
    assert make_digests() == 0
    let_time_pass(10)
    assert make_digests() == 1


def test_one_alone_leaves_by_itself():
    send(*"abc")
    assert make_due() == []
    assert not Gathered.objects.exists()
    assert OutboxMessage.objects.due().count() == 3


def test_each_group_has_a_digest_of_its_own():
    send(*"abcd")
    send(*"abcd", to="bob@example.com")
    send(*"ef", language="zh-hans")
    assert sorted(told_in(digest) for digest in make_due()) == [["c", "d"], ["c", "d"], ["e", "f"]]


def test_what_comes_after_a_digest_waits_for_the_next():
    send(*"abcd")
    make_due()
    send(*"ef")
    [digest] = make_due()
    assert told_in(digest) == ["e", "f"]


def test_a_full_group_does_not_wait_for_its_deadline(monkeypatch):
    monkeypatch.setattr("flasky.mail.models.gathered.MOST_IN_A_DIGEST", 3)
    monkeypatch.setattr(making, "MOST_IN_A_DIGEST", 3)
    send(*"abcd")
    assert make_digests() == 0
    send(*"efg")
    assert make_digests() == 2
    assert [told_in(each) for each in OutboxMessage.objects.filter(source="digest")] == [list("cde"), list("fg")]


def test_the_largest_digest_of_the_projects_own_is_not_cut_off_by_gmail(settings):
    """With the longest names; see MOST_IN_A_DIGEST."""
    from accounts.welcome import digest_sample
    from flasky.mail import render_email
    from flasky.mail.previews.lint import LARGEST

    settings.FLASKY_SITE_URL = "https://www.example.com"
    [mail, *_] = digest_sample("x" * 64)["mails"]
    email = render_email("a@example.com", "", "mail/new_user_digest", mails=[mail] * MOST_IN_A_DIGEST, count=100)
    assert len(email.alternatives[0][0].encode()) < LARGEST


@pytest.mark.parametrize("verb", ["hold", "cancel", "try_now"])
def test_what_a_person_has_decided_about_is_in_no_digest(verb):
    messages = send(*"abcde")
    getattr(OutboxMessage.objects.filter(pk=messages[3].pk), verb)("ann")
    [digest] = make_due()
    assert told_in(digest) == ["c", "e"]
    messages[3].refresh_from_db()
    assert messages[3].state != State.GATHERED


def test_what_has_left_by_itself_is_in_no_digest(relay):
    send(*"abcd")
    OutboxMessage.objects.update(next_attempt_at=timezone.now())  # nobody has made a digest until the deadline
    deliver_due()
    assert make_due() == []
    assert not Gathered.objects.exists()
    assert len(relay.mails) == 4


def test_what_was_tried_by_itself_is_in_no_digest_for_one_recipient_may_have_it():
    messages = send(*"abcde", to=[ADMIN, "bob@example.com"])
    outcomes = {ADMIN: {"accepted": True, "reply": "250 ok"}}
    OutboxMessage.objects.filter(pk=messages[3].pk).update(attempt_count=1, outcomes=outcomes)
    [digest] = make_due()
    assert told_in(digest) == ["c", "e"]
    messages[3].refresh_from_db()
    assert messages[3].state == State.QUEUED


def test_what_no_template_can_make_leaves_one_by_one(digests, caplog):
    (digests / f"{KIND}_digest.html").write_text("{% include mails.0.name %}")
    send(*"abcd")
    assert make_due() == []
    assert OutboxMessage.objects.due().count() == 4
    assert "No digest could be made of 2 mails" in caplog.text


def test_the_setting_turned_off_meanwhile_ends_the_wait(settings):
    send(*"abcd")
    settings.MAIL_DIGEST_AFTER = 0
    assert make_digests() == 1


def test_a_shorter_wait_counts_for_those_that_wait_already(settings):
    settings.MAIL_DIGEST_WAIT = 3600
    send(*"abcd")
    settings.MAIL_DIGEST_WAIT = 60
    assert make_digests() == 1


def test_a_clock_that_was_put_back_keeps_nobody_waiting():
    send(*"abcd")
    let_time_pass(-7200)
    assert make_digests() == 1


def test_a_clock_that_leaps_ahead_makes_the_digest_early_and_once():
    send(*"abcd")
    let_time_pass(7200)
    assert make_digests() == 1
    assert make_digests() == 0
    assert states() == [State.QUEUED] * 2 + [State.GATHERED] * 2 + [State.QUEUED]


def test_a_digest_that_fails_and_is_queued_again_says_the_same(relay):
    send(*"abcd")
    [digest] = make_due()
    relay.replies["admin@example.com"] = "550 5.1.1 no such user"
    deliver_due()
    digest.refresh_from_db()
    assert digest.state == State.FAILED
    relay.replies.clear()
    assert OutboxMessage.objects.filter(pk=digest.pk).requeue("ann") == 1
    deliver_due()
    assert len(relay.mails) == 1
    assert told_in(digest) == ["c", "d"]
    assert bytes(digest.content) == bytes(OutboxMessage.objects.get(pk=digest.pk).content)


def test_the_counts_know_of_one_mail_for_each_that_left(relay):
    send(*"abcde")
    make_due()
    deliver_due()
    assert len(relay.mails) == 3
    assert sum(HourlyCount.objects.values_list("sent", flat=True)) == 3
    assert sum(HourlyCount.objects.values_list("failed", flat=True)) == 0


def test_what_became_of_a_gathered_mail_is_what_became_of_its_digest(relay, django_user_model):
    user = django_user_model.objects.create(username="Ada")
    send(*"ab")
    send("Ada", cause=user)
    send("d")
    cause = f"accounts.user:{user.pk}"
    assert outcome_of(cause)[1] == State.QUEUED
    [digest] = make_due()
    assert outcome_of(cause) == (digest.pk, State.QUEUED)
    deliver_due()
    assert outcome_of(cause) == (digest.pk, State.SENT)
    digest.delete()
    assert outcome_of(cause)[1] == State.GATHERED


def test_the_digest_itself_is_under_the_mail_budget(little_budget):
    send(*"abcd")
    [digest] = make_due()
    assert digest.state == State.HELD
    assert OverBudget.objects.get().message == digest


def test_while_the_outbox_takes_no_more_the_mails_wait_and_are_not_lost(settings, little_budget, caplog):
    settings.MAIL_BUDGET_HELD = 1
    send(*"ab")
    EmailMessage("Hi", "Hello", "ann@example.com", ["admin@example.com"]).send()  # held
    send(*"cd")
    assert make_due() == []
    assert "No digest was stored" in caplog.text
    assert Gathered.objects.waiting().count() == 2


def at_once(*jobs):
    together = threading.Barrier(len(jobs), timeout=30)

    def do(job):
        together.wait()
        try:
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(do, jobs))


def test_of_several_that_look_at_once_one_makes_the_digest():
    for turn in range(5):
        send(*"abcdef", to=f"admin{turn}@example.com")
        Gathered.objects.waiting().update(due_at=timezone.now())
        at_once(*[make_digests] * 4)
        make_digests()
        digests = OutboxMessage.objects.filter(source="digest", first_recipient=f"admin{turn}@example.com")
        assert [told_in(digest) for digest in digests] == [list("cdef")]


def test_what_is_claimed_at_that_moment_is_not_told_twice(relay):
    for turn in range(5):
        to = f"admin{turn}@example.com"
        send(*"abcdef", to=to)
        Gathered.objects.waiting().update(due_at=timezone.now())
        OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=timezone.now())
        at_once(make_digests, deliver_due, make_digests)
        make_digests()
        OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=timezone.now())
        deliver_due()
        alone = OutboxMessage.objects.filter(first_recipient=to, kind=KIND, state=State.SENT).count()
        gathered = OutboxMessage.objects.filter(first_recipient=to, state=State.GATHERED).count()
        digests = OutboxMessage.objects.filter(first_recipient=to, kind=f"{KIND}_digest", state=State.SENT)
        assert alone + gathered == 6
        assert sum(len(told_in(digest)) for digest in digests) == gathered


def test_a_failure_on_the_way_leaves_all_as_it_was(monkeypatch):
    """Whatever ends the process here: everything is one transaction."""
    send(*"abcd")
    insert = making.insert_message

    def insert_and_die(*arguments):
        insert(*arguments)
        raise SystemExit

    monkeypatch.setattr(making, "insert_message", insert_and_die)
    with pytest.raises(SystemExit):
        make_due()
    assert states() == [State.QUEUED] * 4
    assert Gathered.objects.waiting().count() == 2
    monkeypatch.undo()
    assert len(make_due()) == 1


def test_a_worker_makes_it_and_sends_it(relay, settings):
    settings.MAIL_SWEEP_INTERVAL = 0.05
    send(*"abcde")
    Gathered.objects.waiting().update(due_at=timezone.now())
    with running(Worker()):
        wait_until(lambda: len(relay.mails) == 3)
    assert "[Flasky] 3 new: c d e Yes" in [mail.message["Subject"] for mail in relay.mails]


def test_so_does_deliver_mail(relay):
    send(*"abcde")
    Gathered.objects.waiting().update(due_at=timezone.now())
    call_command("deliver_mail")
    assert len(relay.mails) == 3
    assert states() == [State.SENT] * 2 + [State.GATHERED] * 3 + [State.SENT]


def test_a_relay_that_is_away_delays_the_digest_and_loses_nothing(settings, relay):
    send(*"abcd")
    relay.replies["EHLO"] = "421 closing"
    [digest] = make_due()
    assert digest.state == State.QUEUED


def test_an_idle_look_asks_nothing_more(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert make_digests() == 0


def test_a_look_is_by_the_index():
    if connection.vendor == "sqlite":
        send(*"abcd")
        plan = Gathered.objects.waiting().values_list("group_key").explain()
        assert "INDEX" in plan


def test_old_ones_are_pruned_with_their_links(settings):
    send(*"abcd")
    [digest] = make_due()
    long_ago = timezone.now() - timedelta(days=100)
    OutboxMessage.objects.filter(state=State.GATHERED).update(finished_at=long_ago)
    OutboxMessage.objects.filter(pk=digest.pk).update(state=State.SENT, finished_at=long_ago)
    old, _ = OutboxMessage.objects.outdated(90, 14)
    assert old.prune() == 3
    assert not Gathered.objects.exists()
