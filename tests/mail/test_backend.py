"""flasky.mail.backend: store instead of sending."""

import logging
from datetime import date, datetime, timedelta, timezone
from email import message_from_bytes, policy

import pytest
from anymail.message import AnymailMessage
from django.core import mail
from django.core.mail import EmailMessage, mail_admins, send_mail, send_mass_mail
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils.functional import lazystr
from django.utils.log import AdminEmailHandler
from django.utils.timezone import now

from flasky.mail import dispatchers
from flasky.mail.backend import OutboxEmailBackend
from flasky.mail.compat import HAS_MODERN_PARTS
from flasky.mail.models import OutboxMessage, State

pytestmark = pytest.mark.django_db


def an_email(subject="Hi", to="b@example.com"):
    return EmailMessage(subject, "Hello", "a@example.com", [to])


@pytest.fixture
def wakes(monkeypatch):
    """What the dispatcher was told, in order."""
    calls = []
    monkeypatch.setattr(dispatchers, "wake", lambda: calls.append(OutboxMessage.objects.count()))
    return calls


def test_sending_stores_a_queued_message_and_reaches_no_transport():
    email = an_email()
    assert email.send() == 1
    stored = OutboxMessage.objects.get()
    assert email.outbox_message == stored
    assert (stored.state, stored.subject, stored.recipients) == (State.QUEUED, "Hi", ["b@example.com"])
    assert mail.outbox == []


def test_all_mail_of_the_project_goes_through_it():
    send_mail("One", "text", None, ["b@example.com"], html_message="<p>html</p>")
    mail_admins("Two", "text")
    assert set(OutboxMessage.objects.values_list("subject", flat=True)) == {"One", "[Flasky] Two"}


def test_a_mail_is_as_urgent_as_its_email_says():
    email = an_email()
    email.send()
    assert email.outbox_message.priority == "normal"
    email.priority = "urgent"
    email.send()
    assert OutboxMessage.objects.get(priority="urgent") == email.outbox_message


@pytest.mark.parametrize(
    ("given", "kept"), [("now", "urgent"), ("high", "urgent"), ("medium", "normal"), ("low", "bulk"), (None, "normal")]
)
def test_the_names_of_other_outboxes_are_taken_for_the_nearest_of_ours(given, kept):
    email = an_email()
    email.priority = given
    email.send()
    assert OutboxMessage.objects.get().priority == kept


@pytest.mark.parametrize("given", ["deferred", "High", 1, 2.5, ["low"]])  # 1 is high there, and medium elsewhere
def test_a_priority_that_does_not_exist_is_refused(given):
    email = an_email()
    email.priority = given
    with pytest.raises(ValueError, match=r"it must be urgent, normal, bulk.* taken too: now, high, medium, low"):
        email.send()


def test_a_mail_for_later_is_due_at_its_time_and_its_age_counts_from_it():
    email = an_email()
    email.send_at = now() + timedelta(days=30)
    email.send()
    message = OutboxMessage.objects.get(queued_at=email.send_at, next_attempt_at=email.send_at)
    assert message.created_at < now()
    assert not OutboxMessage.objects.due().exists()


def test_a_mail_for_a_time_that_is_over_is_due_now_and_not_before_others():
    email = an_email()
    email.send_at = now() - timedelta(days=30)
    email.send()
    message = OutboxMessage.objects.due().get()
    assert now() - message.queued_at < timedelta(minutes=1)
    assert message.next_attempt_at == message.queued_at


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2099, 1, 1),
        date(2099, 1, 1),
        datetime(2098, 12, 31, 23, tzinfo=timezone.utc),
        4070905200,
        4070905200.0,
        "2098-12-31T23:00:00Z",
        lazystr("2099-01-01 00:00"),
        "Thu, 01 Jan 2099 00:00:00 +0100",
    ],
)
def test_a_time_is_taken_in_each_form_that_anymail_takes(moment, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    email = an_email()
    email.send_at = moment
    email.send()
    stored = OutboxMessage.objects.get(next_attempt_at=datetime(2098, 12, 31, 23, tzinfo=timezone.utc))
    assert b"\r\nDate: Wed, 31 Dec 2098 23:00:00 +0000\r\n" in bytes(stored.content)


@pytest.mark.parametrize("moment", ["tomorrow", 1e30, ["2099-01-01"], b"2099"])
def test_what_is_no_time_is_refused(moment):
    email = an_email()
    email.send_at = moment
    with pytest.raises(ValueError, match=r"send_at is .*; it must be a datetime, a date, a number of seconds"):
        email.send()


def test_a_batch_is_stored_whole_or_not_at_all():
    with pytest.raises(ValueError, match="newlines"):
        OutboxEmailBackend().send_messages([an_email(), an_email("line\nbreak")])
    assert not OutboxMessage.objects.exists()


@pytest.fixture
def second_fails():
    """The database breaks off when the second message of a batch has been inserted."""

    def fail(execute, sql, parameters, many, context):
        result = execute(sql, parameters, many, context)
        if sql.startswith("INSERT") and "Two" in parameters:
            raise DatabaseError("the disk is full")
        return result

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_fails_halfway_leaves_nothing(second_fails, wakes):
    with pytest.raises(DatabaseError):
        OutboxEmailBackend().send_messages([an_email("One"), an_email("Two")])
    assert not OutboxMessage.objects.exists()
    assert wakes == []


def test_a_failure_that_is_to_be_silent_leaves_the_callers_transaction_usable(second_fails):
    with transaction.atomic():
        assert OutboxEmailBackend(fail_silently=True).send_messages([an_email("One"), an_email("Two")]) == 1
        an_email("Three").send()
    assert stored_subjects() == ["One", "Three"]


def stored_subjects():
    return list(OutboxMessage.objects.order_by("pk").values_list("subject", flat=True))


@pytest.mark.parametrize("wrong", ["no-domain", "two@@example.com", "Ann <>", "b@example.com\nBcc: c@example.com"])
@pytest.mark.filterwarnings("ignore:The 'fail_silently' argument is deprecated")  # from Django 6.1 on
def test_one_bad_address_of_500_takes_no_other_mail_along(caplog, wrong):
    mails = [(f"To {number}", "Hello", "a@example.com", [f"b{number}@example.com"]) for number in range(500)]
    mails[7] = ("Bad", "Hello", "a@example.com", [wrong])
    assert send_mass_mail(mails, fail_silently=True) == 499
    assert OutboxMessage.objects.count() == 499
    assert not OutboxMessage.objects.filter(subject="Bad").exists()
    assert "Mail number 8 of these could not be stored and is lost" in caplog.text


class BrokenEmail(EmailMessage):
    def message(self, **options):
        raise RuntimeError("the template of the footer is gone")


class StrangeEmail(EmailMessage):
    def recipients(self):
        raise RuntimeError("the list of subscribers is gone")


def test_an_email_class_that_fails_takes_no_other_mail_along(caplog):
    unknown_priority = an_email("Three")
    unknown_priority.priority = "deferred"
    broken, strange = (kind("?", "Hello", "a@example.com", ["b@example.com"]) for kind in (BrokenEmail, StrangeEmail))
    batch = [an_email("One"), broken, strange, unknown_priority, an_email("Four")]
    assert OutboxEmailBackend(fail_silently=True).send_messages(batch) == 2
    assert stored_subjects() == ["One", "Four"]
    assert "the template of the footer is gone" in caplog.text
    assert not hasattr(broken, "outbox_message")


@pytest.mark.django_db(transaction=True)
def test_one_mail_that_the_database_refuses_takes_no_other_along(wakes, caplog):
    def refuse(execute, sql, parameters, many, context):
        if sql.startswith("INSERT") and "Two" in parameters:
            raise DatabaseError("invalid byte sequence")
        return execute(sql, parameters, many, context)

    emails = [an_email(subject) for subject in ("One", "Two", "Three")]
    with connection.execute_wrapper(refuse):
        assert OutboxEmailBackend(fail_silently=True).send_messages(emails) == 2
    assert stored_subjects() == ["One", "Three"]
    assert [hasattr(email, "outbox_message") for email in emails] == [True, False, True]
    assert "Mail number 2 of these could not be stored and is lost" in caplog.text
    assert wakes == [1, 2]


def test_a_database_that_takes_nothing_is_not_asked_500_times(caplog):
    asked = []

    def fail(execute, sql, parameters, many, context):
        if sql.startswith("INSERT"):
            asked.append(sql)
            raise OperationalError("database is locked")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(fail):
        assert OutboxEmailBackend(fail_silently=True).send_messages([an_email() for _ in range(500)]) == 0
    assert len(asked) == 3
    assert "498 more mail(s) are lost" in caplog.text


def test_an_email_that_was_not_stored_has_no_message(second_fails):
    emails = [an_email("One"), an_email("Two")]
    with pytest.raises(DatabaseError), transaction.atomic():
        OutboxEmailBackend().send_messages(emails)
    assert not any(hasattr(email, "outbox_message") for email in emails)


def test_anymails_own_message_is_stored_with_the_options_that_are_set():
    assert AnymailMessage("S", "B", "a@x.example", ["b@x.example"]).send() == 1
    assert OutboxMessage.objects.get().provider_options == {}
    moment = now() + timedelta(days=1)
    AnymailMessage("S", "B", "a@x.example", ["b@x.example"], tags=["welcome"], track_opens=False, send_at=moment).send()
    message = OutboxMessage.objects.get(queued_at=moment)
    assert message.provider_options == {"tags": ["welcome"], "track_opens": False, "send_at": None}


def test_another_failure_ends_the_callers_transaction_as_that_of_any_save_does(second_fails):
    with transaction.atomic():
        with pytest.raises(DatabaseError):
            OutboxEmailBackend().send_messages([an_email("One"), an_email("Two")])
        with pytest.raises(TransactionManagementError):
            an_email("Three").send()
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()


def statements(action):
    with CaptureQueriesContext(connection) as queries:
        action()
    return [query["sql"].split()[0] for query in queries]


@pytest.mark.django_db(transaction=True)
def test_storing_asks_the_database_for_no_more_than_it_must():
    """One INSERT is a transaction by itself."""
    batch, silent = [an_email("One"), an_email("Two")], OutboxEmailBackend(fail_silently=True)
    assert statements(an_email().send) == ["INSERT"]
    assert statements(lambda: OutboxEmailBackend().send_messages(batch)) == ["BEGIN", "INSERT", "INSERT", "COMMIT"]
    assert statements(lambda: OutboxEmailBackend().send_messages([])) == []
    with transaction.atomic():
        assert statements(an_email().send) == ["INSERT"]
        assert statements(lambda: silent.send_messages([an_email()])) == ["SAVEPOINT", "INSERT", "RELEASE"]


def test_an_email_to_nobody_is_not_stored():
    nobody = EmailMessage("Hi", "Hello", "a@example.com", [])
    assert OutboxEmailBackend().send_messages([nobody]) == 0
    assert not OutboxMessage.objects.exists()


def test_the_message_shares_the_fate_of_the_callers_transaction():
    with pytest.raises(RuntimeError), transaction.atomic():
        an_email().send()
        raise RuntimeError
    assert not OutboxMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_dispatcher_is_woken_after_the_commit(wakes):
    with transaction.atomic():
        an_email().send()
        assert wakes == []
    assert wakes == [1]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_with_many_emails_wakes_once(wakes):
    with transaction.atomic():
        for _ in range(3):
            an_email().send()
    assert wakes == [3]


@pytest.mark.django_db(transaction=True)
def test_a_savepoint_that_is_rolled_back_does_not_take_the_wake_of_another_with_it(wakes):
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            an_email().send()
            raise RuntimeError
        an_email().send()
    assert wakes == [1]


@pytest.mark.django_db(transaction=True)
def test_a_rollback_wakes_nobody(wakes):
    with pytest.raises(RuntimeError), transaction.atomic():
        an_email().send()
        raise RuntimeError
    assert wakes == []


def wake():
    raise RuntimeError("no thread can be started")


@pytest.mark.django_db(transaction=True)
def test_a_failing_wake_does_not_reach_the_caller_and_causes_no_further_mail(settings, caplog):
    """The message is stored; the next sweep finds it."""
    settings.MAIL_DISPATCHER = __name__  # this module's wake()
    assert an_email().send() == 1
    assert OutboxMessage.objects.count() == 1
    assert "could not be woken" in caplog.text


def with_attribute(name, value):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    setattr(email, name, value)
    return email


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "Hi\0"),
        ("from_email", "An\0n <ann@example.com>"),
        ("to", ["b\0@example.com"]),
        ("extra_headers", {"X-Tag": "\0"}),
        ("cause", "accounts.user:" + "1" * 100),
        ("cause", "accounts.user:\0"),
        ("cause", EmailMessage("The object", "itself")),
        ("kind", 5),
        ("encoding", "klingon"),
        ("body", 5),
        pytest.param(
            "body", b"bytes", marks=pytest.mark.skipif(HAS_MODERN_PARTS, reason="Django 6 takes them for UTF-8")
        ),
        ("metadata", {"order": "\0"}),
        ("metadata", {"\0": 1}),
        ("metadata", {"order": "\ud800"}),
        ("metadata", {"order": float("nan")}),
        ("tags", ["\0"]),
    ],
)
def test_what_a_database_would_refuse_is_refused_before_and_leaves_the_transaction_whole(name, value):
    with transaction.atomic():
        with pytest.raises(ValueError, match=r"NUL|mail address|cause|email"):
            with_attribute(name, value).send()
        EmailMessage("After", "Hello", "ann@example.com", ["b@example.com"]).send()
    assert stored_subjects() == ["After"]


@pytest.mark.parametrize("character", ["\0", "\r", "\ud800"])
def test_djangos_mail_of_an_error_is_not_lost_for_a_character_that_no_mail_can_have(character, caplog):
    record = logging.makeLogRecord({"levelname": "ERROR", "msg": f"odd: {character}!"})
    AdminEmailHandler(include_html=True).handle(record)
    message = OutboxMessage.objects.get()
    said = f"odd: {ascii(character)[1:-1]}!"
    assert said in message.subject
    email = message_from_bytes(bytes(message.content), policy=policy.default)
    assert said in email.get_body(("plain",)).get_content()
    assert not caplog.records
