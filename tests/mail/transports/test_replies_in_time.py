"""flasky.mail.transports.replies_in_time: a deadline for each reply and each piece of a mail, and room for a reply."""

from io import StringIO

import pytest
from django.core.mail.backends.smtp import EmailBackend
from django.core.management import CommandError, call_command

from flasky.mail.transports import TransportUnavailable
from flasky.mail.transports.replies import MAX_TEXT, Verdict
from tests.conftest import use_relay
from tests.mail.transports.handing_over import a_message, deliver
from tests.scripted_relay import ScriptedRelay

MOMENTS = ["connect", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT"]
SECONDS = 2
MEGABYTES = 8_000_000  # more than both sides buffer


class OwnBackend(EmailBackend):
    """Somebody's own: it sends in a way of its own."""

    def send_messages(self, email_messages):
        return super().send_messages(email_messages)


@pytest.fixture
def said_by(settings, monkeypatch):
    """A function that delivers to a relay with this script, and returns what is said of it."""
    monkeypatch.setattr("flasky.mail.transports.smtp.CONTENT_TIMEOUT", 1)

    def said(message=None, backend=None, **script):
        with ScriptedRelay(**script) as relay:
            use_relay(settings, relay, MAIL_TIMEOUT=SECONDS)
            if backend:
                settings.MAIL_TRANSPORT = f"{backend.__module__}.{backend.__qualname__}"
            try:
                [reply] = deliver(message).values()
            except TransportUnavailable as error:
                return str(error)
            assert reply.verdict in (Verdict.POSTPONED, Verdict.UNKNOWN)
            return reply.text

    return said


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_relay_that_says_a_byte_now_and_then_is_left_after_the_timeout(said_by, moment):
    assert "within" in said_by(**{moment: "drip"})


@pytest.mark.parametrize("moment", ["EHLO", "MAIL", "CONTENT"])
@pytest.mark.parametrize("endless", ["flood", "one line"])
def test_a_reply_without_an_end_is_left_before_it_fills_the_memory(said_by, moment, endless):
    said = said_by(**{moment: endless})

    assert len(said) <= MAX_TEXT
    assert "sent more than 65,536 bytes as one reply" in said or "Line too long" in said


@pytest.mark.parametrize("moment", ["RCPT", "CONTENT"])
def test_a_backend_of_somebodys_own_waits_no_longer(said_by, moment):
    assert "within" in said_by(backend=OwnBackend, **{moment: "drip"})


def test_a_relay_that_takes_a_few_bytes_now_and_then_is_left_after_the_timeout(said_by):
    assert "stopped taking the text" in said_by(a_message(body="x" * MEGABYTES), reading="sip")


def test_sendtestemail_is_not_kept_either(settings):
    with ScriptedRelay(connect="drip") as relay, pytest.raises(CommandError, match=f"within {SECONDS} s"):
        use_relay(settings, relay, MAIL_TIMEOUT=SECONDS)
        call_command("sendtestemail", "ann@example.com", stdout=StringIO())
