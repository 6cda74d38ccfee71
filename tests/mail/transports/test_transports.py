"""flasky.mail.transports: connect, hand over, report each recipient's reply."""

import contextlib
import smtplib
import socket
import threading

import pytest
import requests
from anymail.exceptions import AnymailAPIError, AnymailError
from anymail.message import AnymailRecipientStatus, AnymailStatus
from anymail.signals import post_send
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend

from flasky.mail import transports
from flasky.mail.transports import TransportUnavailable, borrow
from flasky.mail.transports.replies import Verdict
from tests.conftest import use_relay
from tests.mail.transports.handing_over import a_message, deliver, verdicts
from tests.smtp_server import SmtpServer


def test_the_server_gets_the_stored_bytes_and_envelope(relay):
    message = a_message("b@example.com", "c@example.com", body=".\n..dots\nHello\n")
    replies = deliver(message)
    [received] = relay.mails
    assert received.content == message.content
    assert (received.sender, received.recipients) == ("ann@example.com", ["b@example.com", "c@example.com"])
    assert replies["b@example.com"].text == "250 2.0.0 Queued as 1"


def test_size_and_8bit_content_are_declared_to_a_server_that_wants_to_know(relay):
    message = a_message(body="Grüße")
    deliver(message)
    assert f"SIZE={len(message.content)}" in relay.mails[0].mail_options
    assert "BODY=8BITMIME" in relay.mails[0].mail_options


def test_each_recipient_gets_its_own_verdict(relay):
    """Django's backend returns 1 for this and says nothing of the other two."""
    relay.replies = {"no@example.com": "550 5.1.1 No such user", "full@example.com": "451 4.2.2 Mailbox full"}
    replies = deliver(a_message("yes@example.com", "no@example.com", "full@example.com"))
    assert verdicts(replies) == {
        "yes@example.com": Verdict.ACCEPTED,
        "no@example.com": Verdict.REFUSED,
        "full@example.com": Verdict.POSTPONED,
    }
    assert relay.mails[0].recipients == ["yes@example.com"]


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_refusal_names_the_command_that_was_refused(relay, command):
    relay.replies = {command: "554 5.7.1 No"}
    reply = deliver()["b@example.com"]
    assert (reply.verdict, reply.text) == (Verdict.REFUSED, "554 5.7.1 No")
    assert reply.command == {"DATA": "CONTENT"}.get(command, command)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_after_a_refusal_the_same_connection_takes_the_next_message(relay, command):
    relay.replies = {command: ["451 4.3.0 Not now"]}
    with borrow() as transport:
        assert transport.deliver(a_message())["b@example.com"].verdict == Verdict.POSTPONED
        assert transport.deliver(a_message())["b@example.com"].verdict == Verdict.ACCEPTED
    assert relay.sessions == 1


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
def test_a_server_that_says_421_is_not_available_and_is_left(relay, command):
    relay.replies = {command: ["421 4.7.0 Too many connections"]}
    with pytest.raises(TransportUnavailable, match=r"answered 421 4\.7\.0 Too many"):
        deliver()
    assert deliver()["b@example.com"].verdict == Verdict.ACCEPTED
    assert (relay.sessions, len(relay.mails)) == (2, 1)


def test_a_server_that_wants_a_login_is_not_available_and_names_the_settings(relay):
    relay.replies = {"MAIL": "530 5.7.0 Authentication required"}
    with pytest.raises(TransportUnavailable, match="MAIL_USERNAME"):
        deliver()


def test_a_connection_that_is_aborted_before_the_end_leaves_the_message_untouched(relay):
    with pytest.raises(TransportUnavailable, match="stopped"), borrow() as transport:
        original = transport._hand_over

        def stop_first(*arguments):
            transports.abort_lent()
            return original(*arguments)

        transport._hand_over = stop_first
        transport.deliver(a_message())
    assert relay.mails == []


def test_whoever_reads_from_an_aborted_tls_connection_hears_that_it_has_ended(settings, tls_context, trusted):
    with SmtpServer(tls_context=tls_context) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_SSL=True)
        with borrow() as transport:
            transport.abort()
            with contextlib.suppress(OSError):
                assert transport._smtp.sock.read(1) == b""


def test_after_an_abort_no_new_connection_is_made(relay):
    """A kept connection that breaks is replaced, but not when it was cut on purpose."""
    with pytest.raises(TransportUnavailable, match="stopped"), borrow() as transport:
        transport.deliver(a_message())
        transports.abort_lent()
        transport.deliver(a_message())
    assert (len(relay.mails), relay.sessions) == (1, 1)


def test_an_abort_that_comes_while_its_thread_hangs_up_is_none(relay):
    """Between two looks at the socket the thread that uses the connection may close it."""
    transport = transports.new_transport()
    transport.open()
    sock = transport._smtp.sock
    looks = iter([sock])

    class HangingUp(smtplib.SMTP):
        sock = property(lambda smtp: next(looks, None))

    transport._smtp.__class__ = HangingUp
    transport.abort()
    assert transport.aborted
    assert sock.recv(1) == b""
    sock.close()


def test_one_connection_serves_many_messages_and_borrowers(relay):
    for _ in range(3):
        deliver()
    assert (len(relay.mails), relay.sessions) == (3, 1)


def test_a_kept_connection_that_the_server_closed_costs_the_message_nothing(relay):
    """Django's backend would fail on every further mail until close() is called."""
    deliver()
    relay.drop_connections()
    assert verdicts(deliver()) == {"b@example.com": Verdict.ACCEPTED}
    assert relay.sessions == 2


def test_a_421_on_a_kept_connection_costs_the_message_nothing(relay):
    deliver()
    relay.replies = {"MAIL": ["421 4.4.2 Idle for too long"]}
    assert verdicts(deliver()) == {"b@example.com": Verdict.ACCEPTED}
    assert relay.sessions == 2


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
def test_a_server_that_refuses_and_hangs_up_has_refused(relay, command):
    relay.replies = {command: "554 5.7.1 Spam", "RSET": "drop"}
    assert deliver()["b@example.com"].text == "554 5.7.1 Spam"


def test_a_connection_is_renewed_after_so_many_mails(relay, monkeypatch):
    monkeypatch.setattr(transports.base, "KEEP_MAILS", 2)
    with borrow() as transport:
        for _ in range(5):
            transport.deliver(a_message())
    assert (len(relay.mails), relay.sessions) == (5, 3)


def test_a_connection_is_renewed_after_idle_time(relay):
    deliver()
    transports._kept[0].idle_since -= transports.base.KEEP_IDLE + 1
    deliver()
    assert relay.sessions == 2


def test_an_idle_connection_is_closed_and_a_fresh_one_is_not(relay):
    deliver()
    transports.close_kept(idle_only=True)
    assert len(transports._kept) == 1
    transports._kept[0].idle_since -= transports.base.KEEP_IDLE + 1
    transports.close_kept(idle_only=True)
    assert transports._kept == []


def test_a_failing_borrower_leaves_no_connection_behind(relay):
    with pytest.raises(RuntimeError), borrow():
        raise RuntimeError
    assert transports._kept == []


def test_a_connection_lost_before_the_message_was_handed_over_postpones_it(relay):
    relay.replies = {"RCPT": "drop"}
    reply = deliver()["b@example.com"]
    assert reply.verdict == Verdict.POSTPONED
    assert "closed the connection" in reply.text


def test_a_connection_lost_after_the_final_dot_leaves_a_doubt(relay):
    relay.replies = {"DATA": "drop"}
    reply = deliver()["b@example.com"]
    assert reply.verdict == Verdict.UNKNOWN
    assert "No reply to the whole message" in reply.text


def test_silence_after_the_final_dot_ends_with_the_timeout_and_a_doubt(relay, settings, monkeypatch):
    settings.MAIL_TIMEOUT = 1
    monkeypatch.setattr(transports.smtp, "CONTENT_TIMEOUT", 1)
    relay.gate.clear()
    reply = deliver()["b@example.com"]
    assert reply.verdict == Verdict.UNKNOWN
    assert "did not say within" in reply.text


def test_a_server_that_reads_a_message_for_long_is_waited_for(relay, settings):
    """Giving up would repeat the mail."""
    settings.MAIL_TIMEOUT = 1
    relay.gate.clear()
    opener = threading.Timer(1.5, relay.gate.set)
    opener.start()
    assert verdicts(deliver()) == {"b@example.com": Verdict.ACCEPTED}
    opener.join()


def test_starttls_and_login(settings, tls_context, trusted):
    with SmtpServer(starttls_context=tls_context, login=("ann", "secret")) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_TLS=True, MAIL_USERNAME="ann", MAIL_PASSWORD="secret")
        deliver()
        assert (server.mails[0].secured, server.mails[0].login) == (True, "ann")
        assert transports.new_transport().server == transports.Server(f"localhost:{server.port}", "STARTTLS", True)


def test_tls_from_the_first_byte(settings, tls_context, trusted):
    with SmtpServer(tls_context=tls_context) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_SSL=True)
        deliver()
        assert server.mails[0].secured
        assert transports.new_transport().server.security == "TLS"


@pytest.mark.parametrize("security", ["MAIL_USE_TLS", "MAIL_USE_SSL"])
def test_an_untrusted_certificate_is_not_accepted(settings, tls_context, security):
    context = {"starttls_context" if security == "MAIL_USE_TLS" else "tls_context": tls_context}
    with SmtpServer(**context) as server:
        use_relay(settings, server, host="localhost", **{security: True})
        with pytest.raises(TransportUnavailable, match=r"certificate of localhost port .* is not trusted"):
            deliver()
        assert server.mails == []


def test_a_wrong_password_is_the_relays_fault_and_names_the_settings(settings, tls_context, trusted):
    with SmtpServer(starttls_context=tls_context, login=("ann", "secret")) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_TLS=True, MAIL_USERNAME="ann", MAIL_PASSWORD="wrong")
        with pytest.raises(TransportUnavailable, match="MAIL_USERNAME and MAIL_PASSWORD") as caught:
            deliver()
    assert "wrong" not in str(caught.value)


def test_a_server_without_starttls_is_not_talked_to_in_the_clear(relay, settings):
    settings.MAIL_USE_TLS = True
    with pytest.raises(TransportUnavailable, match="does not offer STARTTLS; look at MAIL_USE_TLS"):
        deliver()
    assert relay.mails == []


def test_nobody_listening_is_said_with_server_and_port(settings, smtp_server):
    use_relay(settings, smtp_server)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.MAIL_PORT = unused.getsockname()[1]
        with pytest.raises(TransportUnavailable, match=rf"port {settings.MAIL_PORT} \(connection refused"):
            deliver()


def test_a_silent_server_ends_with_the_timeout(settings, smtp_server):
    use_relay(settings, smtp_server)
    settings.MAIL_TIMEOUT = 1
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.MAIL_PORT = silent.getsockname()[1]
        with pytest.raises(TransportUnavailable, match="did not greet within 1 s"):
            deliver()


def test_a_forked_child_does_not_use_its_parents_connections(relay):
    deliver()
    [parents] = transports._kept
    transports._forget_the_parents_connections()
    deliver()
    assert relay.sessions == 2
    parents.close()


# Other backends


def test_another_backend_gets_a_rebuilt_email(settings):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.locmem.EmailBackend"
    assert deliver(a_message("b@example.com"))["b@example.com"].verdict == Verdict.ACCEPTED
    assert (mail.outbox[0].subject, mail.outbox[0].to) == ("Hi", ["b@example.com"])


def test_the_console_shows_the_mail_as_it_was_stored(settings, capsys):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.console.EmailBackend"
    message = a_message(body="Grüße")
    deliver(message)
    assert message.content.decode().replace("\r\n", "\n") in capsys.readouterr().out


class Provider(BaseEmailBackend):
    """Answer like an Anymail backend, as the class attributes say."""

    statuses = {}
    error = None
    taken = 1

    def send_messages(self, emails):
        if self.statuses:
            emails[0].anymail_status = AnymailStatus()
            emails[0].anymail_status.esp_response = "200"
            emails[0].anymail_status.set_recipient_status(self.statuses)
        if self.error:
            raise self.error
        return self.taken


@pytest.fixture
def provider(settings, monkeypatch):
    settings.MAIL_TRANSPORT = f"{__name__}.Provider"

    def answers(**attributes):
        for name, value in attributes.items():
            monkeypatch.setattr(Provider, name, value)

    return answers


def status(word):
    return AnymailRecipientStatus("id-1", word)


def test_a_providers_word_on_each_recipient_counts(provider):
    provider(statuses={"b@example.com": status("queued"), "c@example.com": status("rejected")})
    replies = deliver(a_message("b@example.com", "c@example.com"))
    assert verdicts(replies) == {"b@example.com": Verdict.ACCEPTED, "c@example.com": Verdict.REFUSED}
    assert replies["b@example.com"].text == "queued, id id-1"


def test_a_receiver_that_fails_after_the_provider_accepted_does_not_repeat_the_mail(provider):
    provider(statuses={"b@example.com": status("sent")}, error=AnymailError("post_send receiver failed"))
    assert verdicts(deliver()) == {"b@example.com": Verdict.ACCEPTED}


def test_any_failing_receiver_after_the_answer_leaves_the_answer_standing(settings):
    def receiver(**signal):
        raise KeyError("a bug")

    settings.MAIL_TRANSPORT = "anymail.backends.test.EmailBackend"
    post_send.connect(receiver)
    try:
        assert verdicts(deliver()) == {"b@example.com": Verdict.ACCEPTED}
    finally:
        post_send.disconnect(receiver)


def test_a_wrong_key_is_the_providers_fault_and_costs_no_attempt(provider):
    provider(error=AnymailAPIError("Forbidden", status_code=401, response=requests.Response()))
    with pytest.raises(TransportUnavailable, match="MAIL_TRANSPORT"):
        deliver()


@pytest.mark.parametrize(
    "error", [AnymailAPIError("no answer"), RuntimeError("?"), KeyError("id"), ValueError("JSON?")]
)
def test_an_error_of_which_nobody_knows_when_it_came_leaves_a_doubt(provider, error):
    provider(error=error)
    assert deliver()["b@example.com"].verdict == Verdict.UNKNOWN


def refused_connection():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    try:
        socket.create_connection(("127.0.0.1", port))
    except OSError as error:
        return error


@pytest.mark.parametrize("error", [refused_connection(), socket.gaierror(-2, "Name unknown")])
def test_a_library_that_reached_nobody_costs_no_attempt(provider, error):
    provider(error=error)
    with pytest.raises(TransportUnavailable, match="cannot be reached"):
        deliver()


def test_a_second_provider_that_does_not_answer_leaves_a_doubt_though_the_first_was_away(provider):
    error = TimeoutError("no answer")
    error.__context__ = refused_connection()
    provider(error=error)
    assert deliver()["b@example.com"].verdict == Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (smtplib.SMTPDataError(554, b"5.7.1 Spam"), Verdict.REFUSED),
        (smtplib.SMTPDataError(250, b"Ok"), Verdict.UNKNOWN),
        (smtplib.SMTPSenderRefused(451, b"4.3.0 Later", "a@example.com"), Verdict.POSTPONED),
        (smtplib.SMTPServerDisconnected("gone"), Verdict.UNKNOWN),
        (smtplib.SMTPRecipientsRefused({"b@example.com": (550, b"5.1.1 No such user")}), Verdict.REFUSED),
    ],
)
def test_the_smtp_errors_of_a_backend_inside_are_sorted_by_their_codes(provider, error, verdict):
    provider(error=error)
    assert deliver()["b@example.com"].verdict == verdict


def test_a_backend_that_cannot_be_opened_is_no_messages_fault(provider, monkeypatch):
    def fail(backend):
        raise RuntimeError("no credentials")

    monkeypatch.setattr(Provider, "open", fail)
    with pytest.raises(TransportUnavailable, match=r"no credentials\. Look at MAIL_TRANSPORT"):
        deliver()


def test_an_address_that_the_provider_spells_differently_is_still_refused(provider):
    provider(statuses={"B@Example.com": status("rejected")})
    assert deliver()["b@example.com"].verdict == Verdict.REFUSED


def test_a_send_that_a_receiver_cancelled_is_not_called_sent(provider):
    provider(taken=0)
    assert deliver()["b@example.com"].verdict == Verdict.REFUSED


def test_a_real_anymail_backend_speaks_through_it(settings):
    settings.MAIL_TRANSPORT = "anymail.backends.test.EmailBackend"
    reply = deliver()["b@example.com"]
    assert (reply.verdict, reply.text.split(",")[0]) == (Verdict.ACCEPTED, "sent")


def test_two_borrowers_at_once_have_two_connections(relay):
    both = threading.Barrier(2, timeout=60)

    def send():
        with borrow() as transport:
            both.wait()
            transport.deliver(a_message())

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert relay.sessions == 2
