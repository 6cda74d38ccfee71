"""flasky.mail.storing.sensitive: which mails are, and what becomes of their bodies."""

import logging

import django
import pytest
from django.contrib.auth.forms import PasswordResetForm
from django.core.mail import EmailMessage, mail_admins

from flasky.faults.handler import ErrorMailHandler
from flasky.mail.delivery.engine import deliver_due
from flasky.mail.models import OutboxMessage, State
from flasky.mail.privacy.export import export
from flasky.mail.privacy.trail import Person

pytestmark = pytest.mark.django_db(transaction=True)


def store(kind="password_reset"):
    email = EmailMessage("Hi", "opensesame", "ann@example.com", ["bob@example.com"])
    email.kind = kind
    email.send()
    return email.outbox_message


def marks():
    return [(message.kind, message.is_sensitive) for message in OutboxMessage.objects.order_by("pk")]


def test_a_password_reset_of_django_is():
    template = "registration/password_reset_subject.txt"
    PasswordResetForm().send_mail(template, template, {"site_name": "x"}, None, "bob@example.com")
    assert marks() == [("password_reset", True)]


def test_an_error_mail_is_and_another_mail_to_administrators_is_not(settings):
    admin = "admin@example.com"
    settings.ADMINS = [("", admin)] if django.VERSION < (6, 0) else [admin]
    handler = ErrorMailHandler()
    handler.handle(logging.LogRecord("x", logging.ERROR, "x.py", 1, "It broke", None, None))
    mail_admins("News", "All is well")
    assert marks() == [("error", True), ("", False)]


def test_the_setting_names_kinds_as_patterns(settings):
    settings.MAIL_SENSITIVE_KINDS = ["mail/pay*"]
    store("mail/payslip"), store("mail/welcome"), store()
    assert [is_sensitive for _, is_sensitive in marks()] == [True, False, False]


def test_its_body_is_dropped_in_the_transaction_that_says_it_is_sent(relay):
    message, other = store(), store("mail/welcome")
    deliver_due()
    for each in (message, other):
        each.refresh_from_db()
    assert (message.state, message.is_pruned, message.as_given, message.provider_options) == (
        State.SENT,
        True,
        None,
        {},
    )
    assert (other.state, other.is_pruned) == (State.SENT, False)
    assert b"opensesame" in relay.mails[0].content


def test_what_is_not_sent_is_tried_again(relay):
    relay.replies = {"RCPT": ["451 4.3.0 Try later", "550 5.1.1 No such user"]}
    message = store()
    for state in (State.QUEUED, State.FAILED):
        deliver_due()
        OutboxMessage.objects.update(next_attempt_at=message.created_at)
        message.refresh_from_db()
        assert (message.state, message.is_pruned) == (state, False)
    OutboxMessage.objects.requeue()
    deliver_due()
    message.refresh_from_db()
    assert (message.state, message.is_pruned) == (State.SENT, True)


def test_an_export_lists_it_without_its_text(tmp_path):
    store()
    with open(tmp_path / "it.zip", "wb") as file:
        assert export(Person(frozenset({"bob@example.com"})), file) == (1, 0)
