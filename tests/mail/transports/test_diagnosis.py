"""flasky.mail.transports.diagnosis: plain sentences that name the setting to look at."""

import smtplib
import socket
import ssl

import pytest

from flasky.mail.transports.diagnosis import advise, describe_end, explain
from flasky.mail.transports.errors import TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict


def verification_error():
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionRefusedError(111, "refused"), "relay.test port 587 (connection refused). Look at MAIL_SERVER and"),
        (socket.gaierror(-2, "Name unknown"), "There is no host named relay.test (Name unknown). Look at MAIL_SERVER."),
        (TimeoutError("timed out"), "did not answer within 7 s"),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out"), "did not answer within 7 s"),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed"), "closed the connection"),
        (verification_error(), "is not trusted: self-signed certificate"),
        (ssl.SSLError(1, "NO_PROTOCOLS_AVAILABLE"), "No encrypted connection to relay.test port 587 came about"),
        (
            smtplib.SMTPAuthenticationError(535, b"5.7.8 Bad credentials."),
            "refused the login: 535 5.7.8 Bad credentials.",
        ),
        (smtplib.SMTPNotSupportedError("STARTTLS extension not supported by server."), "look at MAIL_USE_TLS"),
        (smtplib.SMTPNotSupportedError("SMTP AUTH extension not supported by server."), "look at MAIL_USERNAME"),
        (smtplib.SMTPConnectError(-1, "/1.1 400 Bad Request"), "does not speak SMTP. Look at MAIL_PORT."),
        (smtplib.SMTPConnectError(554, "No service"), "answered 554 No service."),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
        (KeyError("surprise"), "KeyError: 'surprise'"),
    ],
)
def test_each_failure_is_a_sentence(error, sentence, settings):
    settings.MAIL_SERVER, settings.MAIL_PORT, settings.MAIL_TIMEOUT = "relay.test", 587, 7
    assert sentence in explain(error)


def test_tls_from_the_first_byte_at_a_starttls_port_is_recognised(settings):
    settings.MAIL_USE_SSL = True
    assert "needs MAIL_USE_TLS instead" in explain(ssl.SSLError(1, "WRONG_VERSION_NUMBER"))


def test_no_sentence_shows_the_password(settings):
    settings.MAIL_PASSWORD = "hunter2"
    error = smtplib.SMTPAuthenticationError(535, b"no")
    assert "hunter2" not in explain(error)


@pytest.mark.parametrize(
    ("text", "command", "setting"),
    [
        ("530 5.7.0 Must issue a STARTTLS command first", "MAIL", "MAIL_USE_TLS"),
        ("553 5.1.8 Sender rejected", "MAIL", "FLASKY_MAIL_SENDER"),
        ("550 5.1.1 No such user", "RCPT", "the address"),
        ("554 5.7.1 Spam", "DATA", "FLASKY_MAIL_SENDER"),
        ("rejected, id 1", "", "MAIL_TRANSPORT"),
    ],
)
def test_each_refusal_has_a_place_to_look_at(text, command, setting):
    assert setting in advise(Reply(Verdict.REFUSED, text, command))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed"), "closed the connection. If this happens"),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out"), "MAIL_TIMEOUT may be too short"),
        (TimeoutError("timed out"), "MAIL_TIMEOUT may be too short"),
        (TransportUnavailable("relay.test answered 421 Bye."), "relay.test answered 421 Bye."),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
    ],
)
def test_the_end_of_a_dialogue_is_not_blamed_on_the_settings_for_connecting(error, sentence):
    said = describe_end(error)
    assert sentence in said
    assert "MAIL_USE_SSL" not in said
