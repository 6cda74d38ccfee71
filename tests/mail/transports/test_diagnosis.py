"""flasky.mail.transports.diagnosis: plain sentences that name the setting to look at."""

import smtplib
import socket
import ssl

import pytest

from flasky.mail.transports.backends import new_backend
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
        (TimeoutError("timed out"), "No connection to relay.test port 587 came about within 7 s"),
        (TimeoutError("_ssl.c:1015: The handshake operation timed out"), "did not greet within 7 s"),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out"), "did not answer within 7 s"),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed"), "closed the connection"),
        (verification_error(), "is not trusted: self-signed certificate"),
        (ssl.SSLError(1, "NO_PROTOCOLS_AVAILABLE"), "No encrypted connection to relay.test port 587 came about"),
        (
            smtplib.SMTPAuthenticationError(535, b"5.7.8 Bad credentials."),
            "refused the login: 535 5.7.8 Bad credentials.",
        ),
        (smtplib.SMTPNotSupportedError("STARTTLS extension not supported by server."), "look at MAIL_USE_TLS"),
        (
            smtplib.SMTPNotSupportedError("SMTP AUTH extension not supported by server."),
            "look at MAIL_USE_TLS, MAIL_USERNAME and MAIL_PORT",
        ),
        (smtplib.SMTPConnectError(-1, "/1.1 400 Bad Request"), "does not speak SMTP. Look at MAIL_PORT."),
        (
            smtplib.SMTPAuthenticationError(454, b"4.7.0 Temporary authentication failure"),
            "answered 454 4.7.0 Temporary authentication failure to the login. It is tried again by itself.",
        ),
        (smtplib.SMTPConnectError(554, "No service"), "answered 554 No service instead of a greeting. It talks to no"),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
        (KeyError("surprise"), "KeyError: 'surprise'"),
    ],
)
def test_each_failure_is_a_sentence(error, sentence, settings):
    settings.MAIL_SERVER, settings.MAIL_PORT, settings.MAIL_TIMEOUT = "relay.test", 587, 7
    assert sentence in explain(error, new_backend())


def test_tls_from_the_first_byte_at_a_starttls_port_is_recognised(settings):
    settings.MAIL_USE_SSL = True
    assert "needs MAIL_USE_TLS instead" in explain(ssl.SSLError(1, "WRONG_VERSION_NUMBER"), new_backend())


def test_no_sentence_shows_the_password(settings):
    settings.MAIL_PASSWORD = "hunter2"
    error = smtplib.SMTPAuthenticationError(535, b"no")
    assert "hunter2" not in explain(error, new_backend())


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
    ("code", "text", "sentence"),
    [
        (550, "5.7.30 Basic authentication is not supported for Client Submission.", "takes no password"),
        (535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled", "Authenticated SMTP"),
        (535, "5.7.3 Authentication unsuccessful", "MAIL_USERNAME and MAIL_PASSWORD"),
        (535, "5.7.8 Username and Password not accepted. For more information, go to\n5.7.8 - gsmtp", "app password"),
        (534, "5.7.9 Application-specific password required.", "app password"),
        (535, "5.7.8 Error: authentication failed", "refused the login"),
        (
            538,
            "5.7.11 Encryption required for requested authentication mechanism",
            "Look at MAIL_USE_TLS and MAIL_PORT",
        ),
        (530, "5.7.0 Must issue a STARTTLS command first", "Look at MAIL_USE_TLS and MAIL_PORT"),
        (535, "Authentication failed: Maximum credits exceeded", "its quota allows"),
        (421, "4.7.0 Error: too many connections from 192.0.2.1", "MAIL_MAX_CONNECTIONS"),
    ],
)
def test_a_login_that_is_refused_gets_the_advice_that_is_right_for_this_provider(code, text, sentence):
    assert sentence in explain(smtplib.SMTPAuthenticationError(code, text.encode()), new_backend())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("550 5.7.60 SMTP; Client does not have permissions to send as this sender", "may not send as this sender"),
        ("554 5.2.252 SendAsDenied; a@example.com not allowed to send as b@example.com", "may not send as this sender"),
        ("554 Message rejected: Email address is not verified.", "wants an address verified"),
        ("550 5.7.26 This mail is unauthenticated, which poses a security risk", "SPF and DKIM"),
        ("550 5.7.515 Access denied, sending domain does not meet the required authentication level.", "SPF and DKIM"),
        ("550 5.1.90 Your message can't be sent because you've reached your daily limit", "its quota allows"),
    ],
)
def test_a_mail_that_is_refused_because_of_its_sender_names_the_place_to_look_at(text, sentence):
    code, _, rest = text.partition(" ")
    assert sentence in advise(Reply.to("CONTENT", int(code), rest))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed"), "closed the connection when it was told"),
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out"), "a larger MAIL_TIMEOUT may help"),
        (TimeoutError("timed out"), "a larger MAIL_TIMEOUT may help"),
        (ConnectionResetError(104, "Connection reset by peer"), "closed the connection when it was told"),
        (BrokenPipeError(32, "Broken pipe"), "closed the connection when it was told"),
        (TransportUnavailable("relay.test answered 421 Bye."), "relay.test answered 421 Bye."),
        (OSError(113, "No route to host"), "cannot be reached: No route to host"),
    ],
)
def test_the_end_of_a_dialogue_is_not_blamed_on_the_settings_for_connecting(error, sentence):
    said = describe_end(error, new_backend(), "MAIL")
    assert sentence in said
    assert "MAIL_USE_SSL" not in said
