"""flasky.mail.transports.own_smtp: somebody's own SMTP backend, used as it is."""

import smtplib
import threading

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as DjangosBackend

from flasky.mail import transports
from flasky.mail.delivery import deliver_due
from flasky.mail.models import State
from flasky.mail.transports import SmtpTransport, TransportUnavailable, borrow, new_transport
from flasky.mail.transports.replies import Verdict
from tests.mail.transports.handing_over import a_message, deliver, verdicts
from tests.smtp_server import SmtpServer


class Redirecting(DjangosBackend):
    """Send all mail of a staging site to its developers."""

    developers = ("dev@example.com",)

    def send_messages(self, emails):
        for email in emails:
            email.to, email.cc, email.bcc = list(self.developers), [], []
        return super().send_messages(emails)


class ChangingEach(DjangosBackend):
    def _send(self, email):
        email.to = ["dev@example.com"]
        return super()._send(email)


class Mixin:
    def send_messages(self, emails):
        for email in emails:
            email.to = ["dev@example.com"]
        return super().send_messages(emails)


class WithMixin(Mixin, DjangosBackend):
    pass


class ChangingItself(DjangosBackend):
    def __init__(self, **options):
        super().__init__(**options)
        self._send = self._send_to_dev

    def _send_to_dev(self, email):
        email.to = ["dev@example.com"]
        return DjangosBackend._send(self, email)


class RedirectingConnection(smtplib.SMTP):
    def rcpt(self, recip, options=()):
        return super().rcpt("dev@example.com", options)


class WithConnectionClass(DjangosBackend):
    connection_class = RedirectingConnection


class WithConnectionFunction(DjangosBackend):
    def connection_class(self, *arguments, **options):
        return RedirectingConnection(*arguments, **options)


class WithOpenedConnection(DjangosBackend):
    def open(self):
        is_new = super().open()
        if is_new:
            self.connection.sendmail = self.send_to_dev
        return is_new

    def send_to_dev(self, sender, recipients, *arguments):
        return smtplib.SMTP.sendmail(self.connection, sender, ["dev@example.com"], *arguments)


def by_function(**options):
    from django.conf import settings

    return Redirecting(host=settings.MAIL_SERVER, port=settings.MAIL_PORT, **options)


class Wrapper(BaseEmailBackend):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = by_function(**options)

    def send_messages(self, emails):
        return self.inner.send_messages(emails)


@pytest.mark.parametrize(
    "path",
    [
        "Redirecting",
        "ChangingEach",
        "WithMixin",
        "ChangingItself",
        "WithConnectionClass",
        "WithConnectionFunction",
        "WithOpenedConnection",
        "by_function",
        "Wrapper",
    ],
)
def test_from_staging_no_customer_is_mailed(relay, settings, path):
    settings.MAIL_TRANSPORT = f"{__name__}.{path}"
    message = a_message("customer@example.com")
    assert verdicts(deliver(message)) == {"customer@example.com": Verdict.ACCEPTED}
    [mail] = relay.mails
    assert (mail.sender, mail.recipients) == ("ann@example.com", ["dev@example.com"])
    assert mail.content == message.content


class LoggingIn(DjangosBackend):
    def __init__(self, **options):
        super().__init__(**options)
        self.token = "secret"

    def open(self):
        return super().open()

    def token_of(self, user):
        return self.token


class Talkative(smtplib.SMTP):
    def ehlo(self, name=""):
        return super().ehlo(name)


class WithTalkative(DjangosBackend):
    connection_class = Talkative


@pytest.mark.parametrize("path", ["LoggingIn", "WithTalkative"])
def test_a_backend_that_only_connects_in_its_own_way_sends_in_groups(settings, path):
    with SmtpServer(pipelining=True) as relay:
        settings.MAIL_TRANSPORT, settings.MAIL_SERVER = f"{__name__}.{path}", "127.0.0.1"
        settings.MAIL_PORT = relay.port
        with borrow() as transport:
            assert isinstance(transport, SmtpTransport)
            assert verdicts(transport.deliver(a_message())) == {"b@example.com": Verdict.ACCEPTED}


@pytest.fixture
def own(relay, settings):
    settings.MAIL_TRANSPORT = f"{__name__}.Unchanged"
    return relay


class Unchanged(DjangosBackend):
    def send_messages(self, emails):
        return super().send_messages(emails)


def test_its_server_is_named_by_host_and_port(own):
    assert new_transport().server.name == f"127.0.0.1:{own.port}"


def test_many_messages_and_borrowers_share_its_connection(own):
    for _ in range(3):
        deliver()
    assert (len(own.mails), own.sessions) == (3, 1)


def test_the_envelope_is_the_stored_one(own):
    deliver(a_message(headers={"From": "Bob <bob@example.com>"}, bcc=["hidden@example.com"]))
    assert (own.mails[0].sender, own.mails[0].recipients) == (
        "ann@example.com",
        ["b@example.com", "hidden@example.com"],
    )
    assert own.mails[0].message["From"] == "Bob <bob@example.com>"


def test_a_refused_recipient_is_not_called_accepted_because_another_was(own):
    own.replies = {"no@example.com": "550 5.1.1 No such user", "full@example.com": "451 4.2.2 Mailbox full"}
    replies = deliver(a_message("yes@example.com", "no@example.com", "full@example.com"))
    assert verdicts(replies) == {
        "yes@example.com": Verdict.ACCEPTED,
        "no@example.com": Verdict.REFUSED,
        "full@example.com": Verdict.POSTPONED,
    }
    assert replies["no@example.com"].text == "550 5.1.1 No such user"


def test_a_mail_is_not_called_sent_if_one_of_the_developers_did_not_get_it(relay, settings, monkeypatch):
    settings.MAIL_TRANSPORT = f"{__name__}.Redirecting"
    monkeypatch.setattr(Redirecting, "developers", ("dev@example.com", "gone@example.com"))
    relay.replies = {"gone@example.com": "550 5.1.1 No such user"}
    replies = deliver(a_message("customer@example.com"))
    assert verdicts(replies) == {"customer@example.com": Verdict.REFUSED}
    assert replies["customer@example.com"].text == "550 5.1.1 No such user"


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "verdict"), [("554 5.7.1 No", Verdict.REFUSED), ("451 4.3.0 Not now", Verdict.POSTPONED)]
)
def test_each_refusal_is_sorted_by_its_code_and_the_next_message_is_taken(own, command, answer, verdict):
    own.replies = {command: [answer]}
    with borrow() as transport:
        reply = transport.deliver(a_message())["b@example.com"]
        assert (reply.verdict, reply.text) == (verdict, answer)
        assert transport.deliver(a_message())["b@example.com"].verdict == Verdict.ACCEPTED


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
def test_a_server_that_is_not_available_is_no_messages_fault(own, command):
    own.replies = {command: ["421 4.7.0 Too many connections"]}
    with pytest.raises(TransportUnavailable, match=r"answered 421 4\.7\.0 Too many") as caught:
        deliver()
    assert caught.value.is_crowded
    assert deliver()["b@example.com"].verdict == Verdict.ACCEPTED


def test_a_connection_lost_before_the_text_postpones_the_message(own):
    own.replies = {"RCPT": "drop"}
    reply = deliver()["b@example.com"]
    assert (reply.verdict, "closed the connection" in reply.text) == (Verdict.POSTPONED, True)


def test_a_connection_lost_after_the_text_leaves_a_doubt(own):
    own.replies = {"DATA": "drop"}
    reply = deliver()["b@example.com"]
    assert (reply.verdict, "Nobody knows" in reply.text) == (Verdict.UNKNOWN, True)


def test_silence_after_the_text_leaves_a_doubt(own, settings):
    settings.MAIL_TIMEOUT = 1
    own.gate.clear()
    assert deliver()["b@example.com"].verdict == Verdict.UNKNOWN


def test_a_kept_connection_that_the_server_closed_costs_the_message_nothing(own):
    deliver()
    own.drop_connections()
    assert verdicts(deliver()) == {"b@example.com": Verdict.ACCEPTED}
    assert (len(own.mails), own.sessions) == (2, 2)


def test_a_421_on_a_kept_connection_costs_the_message_nothing(own):
    deliver()
    own.replies = {"MAIL": ["421 4.4.2 Idle for too long"]}
    assert verdicts(deliver()) == {"b@example.com": Verdict.ACCEPTED}
    assert own.sessions == 2


def test_a_connection_is_renewed_after_so_many_mails(own, monkeypatch):
    monkeypatch.setattr(transports.base, "KEEP_MAILS", 2)
    with borrow() as transport:
        for _ in range(5):
            transport.deliver(a_message())
    assert (len(own.mails), own.sessions) == (5, 3)


def test_an_abort_ends_the_wait_for_the_server(own):
    own.gate.clear()
    replies = {}
    thread = threading.Thread(target=lambda: replies.update(deliver()))
    thread.start()
    own.wait_until_in_data(1)
    transports.abort_lent()
    thread.join(60)
    assert verdicts(replies) == {"b@example.com": Verdict.UNKNOWN}


class ToEach(DjangosBackend):
    """Send a mail of its own to each developer."""

    def send_messages(self, emails):
        for email in emails:
            for email.to in (["one@example.com"], ["two@example.com"]):
                super().send_messages([email])
        return len(emails)


@pytest.mark.parametrize("answer", ["drop", "451 4.3.0 Not now", "421 4.3.0 Not now"])
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
def test_a_doubt_remains_if_the_first_of_two_mails_has_left(relay, settings, command, answer):
    settings.MAIL_TRANSPORT = f"{__name__}.ToEach"
    deliver()
    relay.replies = {command: [None, answer]}
    assert verdicts(deliver()) == {"b@example.com": Verdict.UNKNOWN}
    assert len(relay.mails) == 3


class Failing(DjangosBackend):
    def _send(self, email):
        super()._send(email)
        raise KeyError("a bug after the sending")


def test_an_error_of_its_own_leaves_a_doubt(relay, settings):
    settings.MAIL_TRANSPORT = f"{__name__}.Failing"
    [reply] = deliver().values()
    assert reply.verdict == Verdict.UNKNOWN
    assert reply.text.startswith("Nobody knows whether the server has the message")
    assert len(relay.mails) == 1


class PastItsConnection(DjangosBackend):
    """Send over a connection that nobody hears."""

    def send_messages(self, emails):
        with smtplib.SMTP(self.host, self.port, timeout=self.timeout) as smtp:
            smtp.sendmail("ann@example.com", ["dev@example.com"], emails[0].message().as_bytes(linesep="\r\n"))
        raise RuntimeError("a bug after the sending")


def test_what_is_sent_past_its_connection_leaves_a_doubt(relay, settings):
    settings.MAIL_TRANSPORT = f"{__name__}.PastItsConnection"
    assert verdicts(deliver()) == {"b@example.com": Verdict.UNKNOWN}


class Silent(Unchanged):
    def __init__(self, **options):
        super().__init__(**options | {"fail_silently": True})


def test_a_backend_that_is_to_fail_silently_tells_the_outbox(relay, settings):
    settings.MAIL_TRANSPORT = f"{__name__}.Silent"
    relay.replies = {"DATA": "451 4.3.0 Not now"}
    assert deliver()["b@example.com"].text == "451 4.3.0 Not now"


class Dropping(DjangosBackend):
    def send_messages(self, emails):
        return 0


def test_a_backend_that_sends_nothing_is_not_called_sending(relay, settings):
    settings.MAIL_TRANSPORT = f"{__name__}.Dropping"
    reply = deliver()["b@example.com"]
    assert (reply.verdict, "Dropping sent nothing" in reply.text) == (Verdict.REFUSED, True)


@pytest.mark.django_db(transaction=True)
def test_a_site_with_an_own_backend_delivers_its_outbox(relay, settings):
    settings.MAIL_TRANSPORT = f"{__name__}.Redirecting"
    for _ in range(3):
        EmailMessage("Hi", "Hello", "ann@example.com", ["customer@example.com"]).send()
    assert deliver_due() == {State.SENT: 3}
    assert [mail.recipients for mail in relay.mails] == [["dev@example.com"]] * 3
