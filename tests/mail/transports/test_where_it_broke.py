"""The sentence about a conversation that broke says where it broke, and what to look at there."""

import pytest

from flasky.mail.transports import TransportUnavailable, diagnosis, new_transport, smtp
from tests.conftest import use_relay
from tests.mail.transports.handing_over import a_message
from tests.scripted_relay import ScriptedRelay

ABLE = "250-relay.test\r\n250-STARTTLS\r\n250 AUTH PLAIN"
CONNECTING = ("MAIL_SERVER", "MAIL_PORT", "MAIL_USE_SSL")


@pytest.fixture
def said(settings):
    """Return what is said of a relay that does this at that moment."""
    settings.MAIL_TIMEOUT = 0.2  # s

    def say(moment, does):
        with ScriptedRelay(**{"EHLO": ABLE, moment: does}) as relay:
            use_relay(settings, relay)
            settings.MAIL_TIMEOUT = 0.2
            settings.MAIL_USE_TLS = moment == "STARTTLS"
            if moment == "AUTH":
                settings.MAIL_USERNAME, settings.MAIL_PASSWORD = "ann", "secret"
            transport = new_transport()
            try:
                [reply] = transport.deliver(a_message()).values()
                return reply.text
            except TransportUnavailable as error:
                return str(error)
            finally:
                transport.close()

    return say


@pytest.mark.parametrize(
    ("moment", "hung_up", "silent", "look_at"),
    [
        ("connect", "before its greeting", "did not greet within 0.2 s", "MAIL_PORT"),
        ("EHLO", "when this machine said its name", "when this machine said its name", "MAIL_EHLO_NAME"),
        ("STARTTLS", "when encryption was to begin", "when encryption was to begin", "ask whoever runs it"),
        ("AUTH", "during the login", "did not answer the login", ""),
        ("MAIL", "when it was told the sender", "when it was told the sender", "ask whoever runs it"),
        ("RCPT", "when it was told a recipient", "when it was told a recipient", ""),
        ("DATA", "before the text", "did not ask for the text", "ask whoever runs it"),
        ("CONTENT", "had the whole text, and closed", "had the whole text, and did not say", "a filter"),
    ],
)
def test_hanging_up_and_silence_are_told_apart_wherever_they_happen(
    said, monkeypatch, moment, hung_up, silent, look_at
):
    for module in (diagnosis, smtp):
        monkeypatch.setattr(module, "CONTENT_TIMEOUT", 1)
    dropped, waited = said(moment, "drop"), said(moment, "silence")
    assert hung_up in dropped
    assert "closed the connection" in dropped
    assert "0.2 s" not in dropped
    assert silent in waited
    assert "within 0.2 s" in waited
    assert "closed the connection" not in waited
    assert "MAIL_TIMEOUT" in waited
    assert look_at in dropped
    assert look_at in waited
    assert moment == "connect" or not [name for name in CONNECTING if name in dropped + waited]


@pytest.mark.parametrize(
    ("moment", "reply", "sentence"),
    [
        ("connect", "554 5.7.1 No", "answered 554 5.7.1 No instead of a greeting. It talks to no machine at this"),
        ("connect", "421 4.3.2 Bye", "answered 421 4.3.2 Bye instead of a greeting. It takes no mail at the moment."),
        ("EHLO", "421 4.3.2 Bye", "answered 421 4.3.2 Bye when this machine said its name. It takes no mail at the"),
        ("STARTTLS", "502 No", "answered 502 No when encryption was to begin (STARTTLS). It does not encrypt here"),
        ("STARTTLS", "454 Later", "answered 454 Later when encryption was to begin (STARTTLS). It takes no mail at"),
        ("AUTH", "454 4.7.0 Later", "answered 454 4.7.0 Later to the login. It is tried again by itself."),
        ("AUTH", "535 5.7.8 No", "refused the login: 535 5.7.8 No. Look at MAIL_USERNAME and MAIL_PASSWORD;"),
        ("MAIL", "454 4.7.0 Later", "answered 454 4.7.0 Later. The relay wants a login or encryption"),
        ("DATA", "454 4.7.0 Later", "answered 454 4.7.0 Later. It takes no mail at the moment."),
        ("CONTENT", "421 4.3.2 Bye", "answered 421 4.3.2 Bye. It takes no mail at the moment."),
    ],
)
def test_an_answer_is_quoted_with_what_it_answered(said, moment, reply, sentence):
    assert sentence in said(moment, reply)


def test_a_text_that_was_not_taken_whole_is_no_doubt(settings):
    settings.MAIL_TIMEOUT = 0.2
    with ScriptedRelay(reading="drop") as relay:
        use_relay(settings, relay)
        settings.MAIL_TIMEOUT = 0.2
        [reply] = new_transport().deliver(a_message(body="line\n" * 3_000_000)).values()
    assert "closed the connection before it had the whole text" in reply.text
    assert "MAIL_MAX_SIZE" in reply.text
