"""flasky.mail.digests.gathering: which mails wait for a digest, and until when."""

from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.db import DataError, connection, transaction
from django.template import TemplateDoesNotExist
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flasky.mail import backend
from flasky.mail.backend import OutboxEmailBackend
from flasky.mail.limits import budget
from flasky.mail.limits.budget import forget
from flasky.mail.models import MOST_IN_A_DIGEST, Gathered, OutboxMessage, State
from tests.mail.digests.mails import KIND, let_time_pass, send, states

pytestmark = pytest.mark.django_db(transaction=True)


def are_gathered(messages):
    return [Gathered.objects.filter(message=message).exists() for message in messages]


def test_the_first_few_leave_at_once_and_the_others_wait_until_the_deadline_of_the_first_of_them():
    messages = send("Ada", "Bo", "Chen", "Dora")
    assert are_gathered(messages) == [False, False, True, True]
    assert [message.next_attempt_at <= timezone.now() for message in messages] == [True, True, False, False]
    assert messages[2].next_attempt_at == messages[3].next_attempt_at == messages[2].queued_at
    assert messages[2].next_attempt_at - messages[2].created_at < timedelta(seconds=301)
    assert states() == [State.QUEUED] * 4


def test_on_a_quiet_day_each_leaves_at_once():
    for name in ("Ada", "Bo", "Chen", "Dora"):
        send(name)
        let_time_pass(301)
    assert not Gathered.objects.exists()


def test_what_was_gathered_counts_so_that_a_steady_stream_is_gathered_too():
    send("Ada", "Bo", "Chen")
    let_time_pass(400)
    send("Dora")
    let_time_pass(400)
    assert are_gathered(send("Eve")) == [False]
    assert are_gathered(send("Fay")) == [True]


def test_the_row_keeps_what_the_digest_needs():
    [*_, message] = send("Ada", "Bo", "Chen", language="zh-hans")
    gathered = message.gathered
    assert gathered.says == {"name": "Chen"}
    assert gathered.envelope == {
        "from_email": "Flasky Admin <flasky@example.com>",
        "to": ["admin@example.com"],
        "language": "zh-hans",
    }


def test_without_the_setting_nothing_is_gathered(settings):
    settings.MAIL_DIGEST_AFTER = 0
    send(*"abcdef")
    assert not Gathered.objects.exists()


def test_where_all_deliver_inline_nothing_is_gathered_because_nobody_looks_later(settings, relay):
    settings.MAIL_DISPATCHER = "inline"
    send(*"abcd")
    assert len(relay.mails) == 4
    assert not Gathered.objects.exists()


def test_urgent_mails_never_wait():
    assert not any(are_gathered(send(*"abcd", priority="urgent")))


def test_a_mail_with_a_time_of_its_own_keeps_it():
    later = timezone.now() + timedelta(days=1)
    messages = send(*"abcd", send_at=later)
    assert not any(are_gathered(messages))
    assert messages[-1].next_attempt_at == later


def test_sensitive_mails_never_wait(settings):
    settings.MAIL_SENSITIVE_KINDS = [KIND]
    assert not any(are_gathered(send(*"abcd")))


def email(**options):
    made = EmailMessage("Hi", "Hello", "ann@example.com", ["admin@example.com"], **options)
    made.kind, made.digest = KIND, {"name": "Zoe"}
    return made


@pytest.mark.parametrize(
    "options",
    [
        {"attachments": [("a.txt", "text", "text/plain")]},
        {"cc": ["bob@example.com"]},
        {"bcc": ["bob@example.com"]},
        {"reply_to": ["bob@example.com"]},
        {"headers": {"X-Campaign": "1"}},
    ],
    ids=str,
)
def test_what_a_digest_would_not_have_leaves_by_itself(options):
    send("Ada", "Bo", "Chen")
    special = email(**options)
    special.send()
    plain = email()
    plain.send()
    assert are_gathered([special.outbox_message, plain.outbox_message]) == [False, True]


def test_a_mail_with_options_for_a_provider_leaves_by_itself():
    send("Ada", "Bo", "Chen")
    tagged = email()
    tagged.tags = ["news"]
    tagged.send()
    assert are_gathered([tagged.outbox_message]) == [False]


def test_a_mail_without_a_kind_and_one_that_says_nothing_for_a_list_leave_by_themselves():
    send("Ada", "Bo", "Chen")
    nameless, silent = email(), email()
    nameless.kind, silent.digest = "", None
    nameless.send()
    silent.send()
    assert are_gathered([nameless.outbox_message, silent.outbox_message]) == [False, False]


def test_mails_of_another_kind_or_to_others_do_not_count_for_it():
    send("Ada", "Bo", "Chen")
    other = email()
    other.kind = "mail/other"
    other.send()
    assert are_gathered([other.outbox_message]) == [False]
    assert are_gathered(send("Ada", to="bob@example.com")) == [False]


@pytest.mark.parametrize(
    "other",
    [{"language": "zh-hans"}, {"priority": "bulk"}, {"to": ["admin@example.com", "bob@example.com"]}],
    ids=str,
)
def test_only_mails_of_one_envelope_language_and_priority_are_in_one_group(other):
    [*_, first] = send("Ada", "Bo", "Chen")
    [second] = send("Dora", **other)
    assert first.gathered.group_key != second.gathered.group_key


def test_a_group_that_is_full_takes_no_more():
    send("Ada", "Bo")
    messages = send(*map(str, range(MOST_IN_A_DIGEST + 1)))
    assert are_gathered(messages) == [True] * MOST_IN_A_DIGEST + [False]


def test_what_a_digest_says_must_be_a_dictionary_that_can_be_json():
    for wrong in ("Ann", [1], {"when": object()}, {"name": "a\0b"}, {"x": float("nan")}):
        bad = email()
        bad.digest = wrong
        with pytest.raises(ValueError, match="digest"):
            bad.send()
    assert not OutboxMessage.objects.exists()


def test_a_digest_without_its_templates_is_refused_when_the_mail_is_sent(digests):
    (digests / f"{KIND}_digest_subject.txt").unlink()
    with pytest.raises(TemplateDoesNotExist, match="digest_subject"):
        send("Ada")


def test_a_rollback_takes_the_gathered_along():
    send("Ada", "Bo")
    with transaction.atomic():
        send("Chen")
        transaction.set_rollback(True)
    assert not Gathered.objects.exists()
    assert OutboxMessage.objects.count() == 2


def statements(count=1, **options):
    with CaptureQueriesContext(connection) as queries:
        send(*["Ada"] * count, language="en", **options)
    return [query["sql"].split()[0] for query in queries if not query["sql"].startswith(("BEGIN", "COMMIT", "SET"))]


def test_it_costs_one_look_for_those_that_leave_at_once_and_nothing_for_those_that_never_wait():
    assert statements() == ["SELECT", "INSERT"]
    assert statements(priority="urgent") == ["INSERT"]


def test_a_look_reads_no_more_than_it_must():
    send(*"abcdef")
    with CaptureQueriesContext(connection) as queries:
        send("Ada", language="en")
    assert "LIMIT 2" in queries[0]["sql"]


@pytest.mark.parametrize("share", ["RECIPIENT", "KIND", "TOTAL"])
def test_what_waits_for_a_digest_is_not_under_the_mail_budget(settings, share):
    settings.MAIL_BUDGET_RECIPIENT = settings.MAIL_BUDGET_KIND = settings.MAIL_BUDGET_TOTAL = ()
    setattr(settings, f"MAIL_BUDGET_{share}", (4,))
    forget()
    send(*"abcdefgh")
    assert states() == [State.QUEUED] * 8
    forget()
    other = email()
    other.digest = None
    other.send()
    again = email()
    again.digest = None
    again.send()
    beyond = email()
    beyond.digest = None
    beyond.send()
    assert [each.outbox_message.state for each in (other, again, beyond)] == [State.QUEUED, State.QUEUED, State.HELD]
    forget()


def test_a_batch_that_is_stored_one_by_one_forgets_what_was_decided_when_all_were_to_be(monkeypatch):
    """Of the first try a row may have a time for which no digest waits, and be late for nothing."""
    refused, insert = [], backend.insert_message

    def refuse(message, *rest):
        if message.subject == "broken" or (message.subject == "second" and refused):
            refused.append(message.subject)
            raise DataError("too long")
        insert(message, *rest)

    monkeypatch.setattr(backend, "insert_message", refuse)
    emails = [email(), email(), email(), email()]
    emails[1].subject, emails[3].subject = "second", "broken"
    assert OutboxEmailBackend(fail_silently=True).send_messages(emails) == 2
    assert refused == ["broken", "second", "broken"]
    third = emails[2].outbox_message
    third.refresh_from_db()
    assert are_gathered([third]) == [False]
    assert third.queued_at == third.next_attempt_at <= timezone.now()


def test_a_deadline_that_is_over_lets_nothing_be_given_up_early():
    send(*"abc")
    Gathered.objects.update(due_at=timezone.now() - timedelta(days=6))  # nobody has looked since
    before = timezone.now()
    [message] = send("d")
    assert are_gathered([message]) == [True]
    assert message.queued_at == message.next_attempt_at >= before


def test_a_batch_that_is_stored_one_by_one_holds_nothing_that_the_budget_allows(monkeypatch, settings):
    settings.MAIL_BUDGET_RECIPIENT = (2,)
    monkeypatch.setattr(budget.logger, "handlers", [])  # no error mail about the budget
    forget()
    insert = backend.insert_message

    def refuse(message, *rest):
        if message.subject == "broken" and (OutboxMessage.objects.count() == 3 or calls):
            calls.append(message.subject)
            raise DataError("too long")
        if message.subject == "first" and calls:
            raise DataError("too long")
        insert(message, *rest)

    calls = []
    monkeypatch.setattr(backend, "insert_message", refuse)
    emails = [email(), email(), email(), email()]
    emails[0].subject, emails[3].subject = "first", "broken"
    for each in emails:
        each.digest = None
    assert OutboxEmailBackend(fail_silently=True).send_messages(emails) == 2
    assert states() == [State.QUEUED] * 2
    forget()
