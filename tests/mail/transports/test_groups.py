"""flasky.mail.transports.smtp, where the relay takes commands in groups (PIPELINING, RFC 2920)."""

from contextlib import closing
from types import SimpleNamespace

import pytest
from django.core.mail import EmailMessage

from flasky.mail.models import OutboxMessage
from flasky.mail.transports import SmtpTransport, TransportUnavailable, borrow, smtp
from flasky.mail.transports.replies import Verdict
from flasky.mail.wire.compose import compose
from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay
from tests.smtp_server import SmtpServer


@pytest.fixture
def relay(settings):
    with SmtpServer(pipelining=True) as relay:
        use_relay(settings, relay)
        yield relay


def a_message(*recipients):
    return OutboxMessage(**compose(EmailMessage("Hi", "Hello\n", "ann@example.com", recipients or ["b@example.com"])))


def many(count):
    return a_message(*(f"b{number}@example.com" for number in range(count)))


def deliver(*messages):
    """Return the verdicts on each message, delivered as one claim."""
    with borrow() as transport, closing(transport.deliver_each(messages)) as replies_to_each:
        return [{reply.verdict for reply in replies.values()} for replies in replies_to_each]


ACCEPTED, REFUSED, POSTPONED = {Verdict.ACCEPTED}, {Verdict.REFUSED}, {Verdict.POSTPONED}


def test_the_text_of_a_message_does_not_leave_before_its_turn(relay):
    """Whoever comes no more, because the process stops or the claim is lost, has sent nothing of the next one."""
    with borrow() as transport:
        replies_to_each = transport.deliver_each([a_message(), a_message()])
        next(replies_to_each)
        assert transport.announced is not None
        replies_to_each.close()
        assert len(relay.mails) == 1
        assert transport.deliver(a_message())["b@example.com"].verdict == Verdict.ACCEPTED
    assert (len(relay.mails), relay.sessions) == (2, 2)


def test_an_announced_message_is_not_said_again(relay):
    messages = [a_message("b@example.com"), a_message("c@example.com")]
    assert deliver(*messages) == [ACCEPTED, ACCEPTED]
    assert [mail.recipients for mail in relay.mails] == [["b@example.com"], ["c@example.com"]]
    assert [mail.content for mail in relay.mails] == [message.content for message in messages]
    assert relay.sessions == 1


def test_each_message_gets_the_replies_to_its_own_envelope(relay):
    relay.replies = {"c@example.com": "550 5.1.1 Nobody", "d@example.com": "451 4.2.2 Full"}
    messages = [a_message(f"{name}@example.com") for name in "bcde"]
    assert deliver(*messages) == [ACCEPTED, REFUSED, POSTPONED, ACCEPTED]
    assert [mail.recipients for mail in relay.mails] == [["b@example.com"], ["e@example.com"]]


def test_a_refused_text_does_not_spoil_the_envelope_that_came_with_it(relay):
    relay.replies = {"DATA": ["554 5.7.1 Spam"]}
    assert deliver(a_message(), a_message()) == [REFUSED, ACCEPTED]
    assert relay.sessions == 1


def test_a_write_holds_no_more_commands_than_their_replies_find_room_for(relay, monkeypatch):
    """While we are still writing nobody reads the replies: both sides could wait for each other."""
    writes = []
    send = SmtpTransport._send

    def look(transport, data, **options):
        writes.append(bytes(data).count(b"RCPT TO"))
        send(transport, data, **options)

    monkeypatch.setattr(SmtpTransport, "_send", look)
    assert deliver(a_message(), many(250), a_message()) == [ACCEPTED, ACCEPTED, ACCEPTED]
    assert [len(mail.recipients) for mail in relay.mails] == [1, 250, 1]
    assert sum(writes) == 252
    assert max(writes) <= 100


def test_a_message_that_cannot_be_announced_does_not_harm_the_one_before_it(relay, caplog):
    broken = a_message()
    broken.recipients = ["b\n@example.com"]
    assert deliver(a_message(), broken, a_message()) == [ACCEPTED, REFUSED, ACCEPTED]
    assert caplog.text.count("could not be handed over") == 1


def test_an_address_with_a_line_break_never_becomes_a_command(relay, caplog):
    smuggling = a_message()
    smuggling.recipients = ["b@example.com>\r\nRCPT TO:<eve@example.com"]
    assert deliver(smuggling, a_message()) == [REFUSED, ACCEPTED]
    assert [mail.recipients for mail in relay.mails] == [["b@example.com"]]
    assert "has a line break" in caplog.text


def test_a_connection_that_is_to_be_renewed_announces_nothing(relay, monkeypatch):
    monkeypatch.setattr("flasky.mail.transports.base.KEEP_MAILS", 2)
    assert deliver(*[a_message() for _ in range(5)]) == [ACCEPTED] * 5
    assert (len(relay.mails), relay.sessions) == (5, 3)


def test_a_relay_that_waits_for_a_text_for_nobody_gets_an_empty_one(settings):
    """RFC 2920, section 3.1: a server may say 354 although it has refused all recipients."""
    with ScriptedRelay(pipelining=True, RCPT=["550 5.1.1 Nobody"], DATA=["354 Go on"]) as relay:
        use_relay(settings, relay)
        assert deliver(a_message(), a_message()) == [REFUSED, ACCEPTED]
        assert (len(relay.accepted), relay.sessions) == (1, 1)


@pytest.fixture
def one_by_one(settings):
    """A server that takes commands in groups, but none before its reply to the text of the mail before."""
    with ScriptedRelay(pipelining=True, one_by_one=True) as relay:
        use_relay(settings, relay)
        yield relay


def test_every_mail_arrives_at_a_server_that_forbids_what_comes_behind_a_text(one_by_one, caplog):
    messages = [a_message() for _ in range(6)]
    assert deliver(*messages) == [ACCEPTED] * 6
    assert one_by_one.accepted == [message.message_id for message in messages]


def test_a_server_that_forbids_it_is_not_asked_again_and_the_log_says_so(one_by_one, caplog):
    deliver(*[a_message() for _ in range(3)])
    deliver(*[a_message() for _ in range(3)])
    assert one_by_one.refused_out_of_turn == 3  # MAIL, RCPT and DATA of one message
    assert one_by_one.sessions == 2
    [warning] = [record.message for record in caplog.records if "round trip more" in record.message]
    assert f"127.0.0.1:{one_by_one.port}" in warning
    assert "pipelined after end of DATA" in warning


@pytest.mark.parametrize(
    "answer", ["554 SMTP synchronization error | drop", "500 5.5.2 What?", "drop", "421 4.7.0 Bye"]
)
def test_a_first_announcement_that_ends_badly_costs_the_message_nothing(settings, answer):
    with ScriptedRelay(pipelining=True, MAIL=[None, answer]) as relay:
        use_relay(settings, relay)
        assert deliver(a_message(), a_message(), a_message()) == [ACCEPTED] * 3
        assert (len(relay.accepted), relay.sessions) == (3, 2)
        assert smtp._heard_one_by_one == {f"127.0.0.1:{relay.port}"}


def test_a_server_that_took_announcements_and_ends_a_connection_gets_them_again(settings):
    with ScriptedRelay(pipelining=True, MAIL=[None, None, "421 4.7.0 Enough of this connection"]) as relay:
        use_relay(settings, relay)
        assert deliver(*[a_message() for _ in range(4)]) == [ACCEPTED] * 4
        assert relay.sessions == 2
        assert smtp._heard_one_by_one == set()


def test_an_abort_while_an_announcement_is_refused_leaves_the_message_untouched(settings):
    with ScriptedRelay(pipelining=True, MAIL=[None, "503 5.5.1 Not now"]) as relay:
        use_relay(settings, relay)
        with pytest.raises(TransportUnavailable, match="503"), borrow() as transport:
            replies_to_each = transport.deliver_each([a_message(), a_message()])
            next(replies_to_each)
            transport.aborted = True  # as abort() says, at the moment before the answer is read
            next(replies_to_each)
        assert len(relay.accepted) == 1


def test_a_sender_that_is_refused_when_it_is_said_alone_is_refused(settings):
    with ScriptedRelay(pipelining=True, MAIL=[None, "503 5.5.1 Not now", "550 5.7.1 Sender blocked"]) as relay:
        use_relay(settings, relay)
        assert deliver(a_message(), a_message()) == [ACCEPTED, REFUSED]


class Line:
    """A connection that takes so many bytes and then breaks."""

    def __init__(self, takes):
        self.takes = takes

    def gettimeout(self):
        return None

    def send(self, data):
        if not self.takes:
            raise ConnectionResetError
        count = min(len(data), self.takes)
        self.takes -= count
        return count


@pytest.mark.parametrize(("takes", "is_out"), [(10, True), (8, True), (5, True), (4, False), (0, False)])
def test_a_message_is_out_with_its_last_byte_whatever_becomes_of_what_follows_it(relay, takes, is_out):
    """Otherwise it would be called postponed, and its repeat would bear no mark."""
    with borrow() as transport:
        transport.backend.connection, real = SimpleNamespace(sock=Line(takes)), transport.backend.connection
        try:
            transport._send(b"12345" + b"67890", enough=5)
            was_out = True
        except ConnectionResetError:
            was_out = False
        transport.backend.connection = real
    assert was_out == is_out
