"""What a mail server may be counted on for, and we for it: the same of each that people run."""

import os

import pytest
from django.core.mail import EmailMessage, get_connection

from flasky.mail.conf import conf
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import OutboxMessage, State
from flasky.mail.transports import TransportUnavailable
from flasky.mail.transports.diagnosis import advise
from flasky.mail.transports.replies import Verdict
from tests.conftest import running as running_worker
from tests.conftest import wait_until
from tests.foreign.servers.server import LOGIN
from tests.mail.transports.handing_over import a_message, deliver, verdicts

ACCEPTED, REFUSED, POSTPONED = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.POSTPONED
USERNAME, PASSWORD = LOGIN


# --- A mail -------------------------------------------------------------------------------------------------------


def test_text_in_any_language_comes_as_it_was_written(server):
    message = a_message(body="Grüße, καλημέρα, 你好 🎉\r\n.\r\n..\r\n" + "ä" * 600 + "\r\n")
    assert verdicts(deliver(message)) == {"b@example.com": ACCEPTED}
    copy = server.the_copy_of(message)
    assert copy.get_content().splitlines() == ["Grüße, καλημέρα, 你好 🎉", ".", "..", "ä" * 600]


def test_a_large_mail_comes_whole(server):
    photo = os.urandom(5_000_000)
    message = a_message(attachments=[("photo.jpg", photo, "image/jpeg")])
    assert verdicts(deliver(message)) == {"b@example.com": ACCEPTED}
    [attachment] = server.the_copy_of(message).iter_attachments()
    assert attachment.get_content() == photo


def test_a_mail_that_is_too_large_is_refused_at_once(server):
    message = a_message(attachments=[("film.mp4", bytes(12_000_000), "video/mp4")])
    assert verdicts(deliver(message)) == {"b@example.com": REFUSED}
    assert verdicts(deliver()) == {"b@example.com": ACCEPTED}


def test_one_wrong_address_of_three_keeps_nobody_else_from_the_mail(server):
    message = a_message("b@example.com", "nobody@example.com", "c@example.com")
    replies = deliver(message)
    assert verdicts(replies) == {"b@example.com": ACCEPTED, "nobody@example.com": REFUSED, "c@example.com": ACCEPTED}
    assert replies["nobody@example.com"].text.startswith("550")
    assert server.wait_for([message])


def test_somebody_elsewhere_is_not_for_whom_has_not_logged_in(server):
    replies = deliver(a_message("b@example.com", "b@elsewhere.example"))
    assert replies["b@example.com"].verdict == ACCEPTED
    assert replies["b@elsewhere.example"].verdict in (REFUSED, POSTPONED)


def what_is_said():
    """Return the sentence about a message's refusal, of the relay or of its recipient."""
    try:
        [reply] = deliver().values()
    except TransportUnavailable as error:
        return str(error)
    assert reply.verdict == REFUSED
    return advise(reply)


# --- Login and encryption -----------------------------------------------------------------------------------------


@pytest.fixture
def secured(server, through, trusted):
    if not server.speaks_tls:
        pytest.skip(f"Debian's {server.name} does not speak TLS")
    through(server.login, host="localhost", MAIL_USE_TLS=True, MAIL_USERNAME=USERNAME, MAIL_PASSWORD=PASSWORD)
    return server


def test_whoever_has_logged_in_may_write_to_anybody(secured):
    message = a_message("b@example.com", "b@elsewhere.example")
    assert set(verdicts(deliver(message)).values()) == {ACCEPTED}


def test_a_wrong_password_stops_the_relay_and_names_the_settings(secured, settings):
    settings.MAIL_PASSWORD = "wrong"
    with pytest.raises(TransportUnavailable, match=r"refused the login: 535.*MAIL_USERNAME and MAIL_PASSWORD"):
        deliver()


def test_a_missing_login_names_the_settings(secured, settings):
    settings.MAIL_USERNAME = ""
    assert "MAIL_USERNAME" in what_is_said()


def test_missing_encryption_stops_the_relay_and_names_the_settings(secured, settings):
    settings.MAIL_USE_TLS, settings.MAIL_USERNAME = False, ""
    with pytest.raises(TransportUnavailable, match=r"MAIL_USE_TLS"):
        deliver()


def test_a_login_that_is_offered_only_after_starttls_names_the_settings(secured, settings):
    settings.MAIL_USE_TLS = False
    with pytest.raises(TransportUnavailable, match=r"MAIL_USE_TLS"):
        deliver()


def test_the_name_of_another_host_is_not_trusted(secured, settings):
    settings.MAIL_SERVER = "127.0.0.1"
    with pytest.raises(TransportUnavailable, match=r"certificate of 127\.0\.0\.1 .* is not trusted.*MAIL_SERVER"):
        deliver()


def test_an_authority_that_nobody_knows_is_not_trusted(secured, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(TransportUnavailable, match=r"certificate of localhost .* is not trusted.*SSL_CERT_FILE"):
        deliver()


def test_tls_from_the_first_byte_at_a_port_that_has_starttls_names_the_setting(server, settings):
    settings.MAIL_USE_SSL = True
    with pytest.raises(TransportUnavailable, match=r"MAIL_USE_SSL"):
        deliver()


# --- Many mails ---------------------------------------------------------------------------------------------------


def store(count, **fields):
    fields = {"to": ["b@example.com"], **fields}
    emails = [EmailMessage(f"{n}", "Grüße", "ann@example.com", **fields) for n in range(count)]
    get_connection().send_messages(emails)
    return [email.outbox_message for email in emails]


def sent():
    return OutboxMessage.objects.filter(state=State.SENT).count()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("count", "end"), [(500, "stop"), (300, "crash")])
def test_mails_come_exactly_once_but_for_those_in_doubt_when_the_server_ends_among_them(server, count, end):
    messages = store(count)
    with running_worker(Worker()) as worker:
        wait_until(lambda: sent() > count / 5)
        getattr(server, end)()
        assert sent() < count
        server.start()
        wait_until(lambda: worker.wake() or sent() == count, 60)
    copies = server.wait_for(messages)
    repeated = {message_id for message_id, paths in copies.items() if len(paths) > 1}
    in_doubt = set(OutboxMessage.objects.filter(possible_duplicate=True).values_list("message_id", flat=True))
    assert repeated <= in_doubt
    assert len(in_doubt) <= conf.MAIL_WORKERS
