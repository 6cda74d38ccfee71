"""A fault of this machine is not tried for five days, unless it is known to pass."""

import errno
import io

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.console import EmailBackend as ConsoleBackend
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.db import OperationalError

from flasky.mail.models import OutboxMessage
from flasky.mail.transports import TransportUnavailable, borrow
from flasky.mail.transports.replies import Verdict
from flasky.mail.wire.compose import compose
from tests.mail.transports.handing_over import a_message

PASSING = [
    OSError(errno.ENOSPC, "No space left"),
    MemoryError(),
    OperationalError("gone"),
    RuntimeError("can't start new thread"),
]
STAYING = [
    LookupError("unknown encoding: klingon"),
    ImportError("No module named boto3"),
    NotImplementedError(),
    KeyError("x"),
]


class AsciiConsole(ConsoleBackend):
    def __init__(self, **options):
        super().__init__(**options | {"stream": io.TextIOWrapper(io.BytesIO(), "ascii")})


class Raising(ConsoleBackend):
    error: Exception

    def send_messages(self, emails):
        raise self.error


class RaisingSomewhere(BaseEmailBackend):
    error: Exception

    def send_messages(self, emails):
        raise self.error


class RaisingSmtp(SmtpBackend):
    error: Exception

    def _send(self, email):
        raise self.error


def outcome(settings, backend, message=None, error=None):
    settings.MAIL_TRANSPORT = f"{__name__}.{backend.__name__}"
    if error:
        backend.error = error
    with borrow() as transport:
        [replies] = transport.deliver_each([message or a_message()])
    [reply] = replies.values()
    return reply


def test_a_character_that_the_console_cannot_print_fails_the_mail_with_a_sentence(settings):
    reply = outcome(settings, AsciiConsole)
    assert reply.verdict == Verdict.REFUSED
    assert "cannot write the mail" in reply.text
    assert "PYTHONIOENCODING" in reply.text


def test_a_charset_that_nobody_knows_fails_the_mail(settings):
    message = OutboxMessage(**compose(EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"])))
    message.content = message.content.replace(b'charset="utf-8"', b'charset="klingon"')
    settings.MAIL_TRANSPORT = "console"
    with borrow() as transport:
        [replies] = transport.deliver_each([message])
    reply = replies["b@example.com"]
    assert (reply.verdict, "klingon" in reply.text) == (Verdict.REFUSED, True)


@pytest.mark.parametrize("error", PASSING)
def test_what_passes_is_tried_again_by_the_plan(settings, error):
    assert outcome(settings, Raising, error=error).verdict == Verdict.POSTPONED


@pytest.mark.parametrize("error", STAYING)
def test_what_does_not_pass_fails_at_once(settings, error):
    assert outcome(settings, Raising, error=error).verdict == Verdict.REFUSED


@pytest.mark.parametrize("error", STAYING[:3])
@pytest.mark.parametrize("backend", [RaisingSomewhere, RaisingSmtp])
def test_so_it_does_with_somebodys_own_back_end_if_it_could_not_write_the_mail(relay, settings, backend, error):
    assert outcome(settings, backend, error=error).verdict == Verdict.REFUSED


@pytest.mark.parametrize("error", [KeyError("id"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")])
@pytest.mark.parametrize("backend", [RaisingSomewhere, RaisingSmtp])
def test_what_may_come_from_reading_an_answer_leaves_a_doubt(relay, settings, backend, error):
    assert outcome(settings, backend, error=error).verdict == Verdict.UNKNOWN


def test_a_transport_that_cannot_be_imported_is_no_messages_fault(settings):
    settings.MAIL_TRANSPORT = "nowhere.Backend"
    with pytest.raises(TransportUnavailable, match=r"MAIL_TRANSPORT leads to no transport .*nowhere"), borrow():
        pass
