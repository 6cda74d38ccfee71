"""A relay gets what it says that it can take; what it cannot is refused before it is asked."""

import email
import email.policy

import pytest
from django.core.mail import EmailMultiAlternatives

from flasky.mail.models import OutboxMessage
from flasky.mail.transports import borrow
from flasky.mail.transports.replies import Verdict
from flasky.mail.wire.compose import compose
from tests.conftest import use_relay
from tests.mail.transports.handing_over import verdicts
from tests.scripted_relay import ScriptedRelay

PLAIN = ()
ALL = ("8BITMIME", "SMTPUTF8", "SIZE 1000000", "CHUNKING", "BINARYMIME", "REQUIRETLS", "DSN", "X-NONSENSE 1 2")


def a_message(*recipients, body="Grüße\r\n.Punkt\r\n", **fields):
    mail = EmailMultiAlternatives("Hi", body, "a@example.com", recipients or ["b@example.com"])
    vars(mail).update(fields)
    return OutboxMessage(**compose(mail))


@pytest.fixture
def relay_with(settings):
    """Start a relay that offers these."""
    relays = []

    def start(*abilities, **script):
        answer = "\r\n".join(["250-relay.test", *(f"250-{each}" for each in abilities), "250 HELP"])
        relay = ScriptedRelay(**{"EHLO": answer, **script}).__enter__()
        relays.append(relay)
        use_relay(settings, relay)
        return relay

    yield start
    for relay in relays:
        relay.__exit__()


def deliver(*messages):
    with borrow() as transport:
        return list(transport.deliver_each(messages))


def read(relay):
    """Return the mails that the relay has, as their readers see them."""
    sent = [undotted(content) for content in relay.contents]
    assert all(max(map(len, content.split(b"\r\n"))) <= 998 for content in sent)
    return [email.message_from_bytes(content, policy=email.policy.default) for content in sent]


def undotted(content):
    return content.replace(b"\r\n..", b"\r\n.")


def said(relay, verb):
    return [line for line in relay.heard if line.startswith(verb)]


GROUPS = [(), ("PIPELINING",)]


@pytest.mark.parametrize("groups", GROUPS)
def test_a_relay_without_8bitmime_gets_ascii_that_reads_the_same(relay_with, groups):
    relay = relay_with(*groups)
    mails = [a_message(), a_message(body="日本語" * 500), a_message(body="Hello")]
    assert [verdicts(replies) for replies in deliver(*mails)] == [{"b@example.com": Verdict.ACCEPTED}] * 3
    assert all(content.isascii() for content in relay.contents)
    texts = [mail.get_content().replace("\r\n", "\n").rstrip() for mail in read(relay)]
    assert texts == ["Grüße\n.Punkt", "日本語" * 500, "Hello"]
    assert not any("BODY" in line for line in said(relay, "MAIL"))


@pytest.mark.parametrize("groups", GROUPS)
def test_a_relay_with_8bitmime_gets_the_stored_bytes(relay_with, groups):
    relay = relay_with("8BITMIME", *groups)
    message = a_message()
    deliver(message, a_message(body="Hello"))
    assert undotted(relay.contents[0]) == message.content
    assert [line.partition(">")[2] for line in said(relay, "MAIL")] == [" BODY=8BITMIME", ""]


def test_each_part_is_encoded_for_itself_and_the_others_stay(relay_with):
    relay = relay_with()
    inner = EmailMultiAlternatives("Inner", "Schöne Grüße", "c@example.com", ["d@example.com"])
    attachments = [
        ("größe.txt", "Größe: " + "ß" * 3000, "text/plain"),
        ("a.bin", bytes(range(256)), "application/octet-stream"),
        ("inner.eml", inner, "message/rfc822"),
    ]
    mail = EmailMultiAlternatives("Hi", "Grüße", "a@example.com", ["b@example.com"], attachments=attachments)
    mail.attach_alternative("<p>Grüße</p>", "text/html")
    deliver(OutboxMessage(**compose(mail)))
    assert relay.contents[0].isascii()
    [got] = read(relay)
    assert (got.get_body(("plain",)).get_content().strip(), got.get_body(("html",)).get_content().strip()) == (
        "Grüße",
        "<p>Grüße</p>",
    )
    text, binary, attached = got.iter_attachments()
    assert (text.get_filename(), text.get_content().strip()) == ("größe.txt", "Größe: " + "ß" * 3000)
    assert binary.get_content() == bytes(range(256))
    assert attached.get_content().get_content().strip() == "Schöne Grüße"


SIGNED = b"""From: a@example.com
Message-ID: <1@example.com>
MIME-Version: 1.0
Content-Type: multipart/signed; boundary=x; micalg=pgp-sha256

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Gr\xc3\xbc\xc3\x9fe
--x
Content-Type: application/pgp-signature

abc
--x--
""".replace(b"\n", b"\r\n")
DKIM = b"DKIM-Signature: v=1; a=rsa-sha256\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
IN_NO_ENCODING = b"Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nHello\r\n"


@pytest.mark.parametrize(
    ("content", "reason"), [(SIGNED, "signed"), (DKIM, "DKIM"), (IN_NO_ENCODING, "header that is not in ASCII")]
)
@pytest.mark.parametrize("groups", GROUPS)
def test_what_may_not_be_written_anew_is_refused_and_the_next_goes(relay_with, content, reason, groups):
    relay = relay_with(*groups)
    signed = a_message()
    signed.content = content
    first, second, third = deliver(a_message(), signed, a_message())
    reply = first | second
    assert second["b@example.com"].verdict == Verdict.REFUSED
    assert "no 8BITMIME" in second["b@example.com"].text
    assert reason in second["b@example.com"].text
    assert (reply | third)["b@example.com"].verdict == Verdict.ACCEPTED
    assert (len(relay.contents), len(said(relay, "MAIL"))) == (2, 2)


def test_a_signed_mail_goes_as_it_is_where_it_can(relay_with):
    relay = relay_with("8BITMIME")
    signed = a_message()
    signed.content = SIGNED
    deliver(signed)
    assert relay.contents == [SIGNED]


@pytest.mark.parametrize("abilities", [PLAIN, ALL])
@pytest.mark.parametrize("line", ["x" * 999, "ü" * 500])
def test_a_line_that_a_server_need_not_take_is_written_in_shorter_ones(relay_with, abilities, line):
    relay, message = relay_with(*abilities), a_message()
    text = f"{line}\r\nend\r\n"
    message.content = b"Subject: Hi\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
    assert verdicts(deliver(message)[0]) == {"b@example.com": Verdict.ACCEPTED}
    [mail] = read(relay)
    assert mail.get_content().replace("\r\n", "\n") == text.replace("\r\n", "\n")


def test_a_line_as_long_as_it_may_be_stays_as_it_is(relay_with):
    relay, message = relay_with(), a_message()
    message.content = b"Subject: Hi\r\n\r\n" + b"x" * 998 + b"\r\n"
    deliver(message)
    assert message.content in relay.contents


def test_a_long_line_in_what_is_signed_stays_too(relay_with):
    relay, message = relay_with(*ALL), a_message()
    message.content = b"DKIM-Signature: v=1\r\nSubject: Hi\r\n\r\n" + b"x" * 1200 + b"\r\n"
    deliver(message)
    assert message.content in relay.contents


@pytest.mark.parametrize("groups", GROUPS)
def test_a_mail_over_the_announced_size_fails_unasked_with_both_sizes(relay_with, groups):
    relay = relay_with("SIZE 2000", *groups)
    large = a_message(body="x" * 70 + "\n" * 3000)
    small, refused, after = deliver(a_message(), large, a_message())
    [reply] = refused.values()
    assert (reply.verdict, f"{len(large.content):,} bytes" in reply.text, "at most 2,000" in reply.text) == (
        Verdict.REFUSED,
        True,
        True,
    )
    assert verdicts(small) == verdicts(after) == {"b@example.com": Verdict.ACCEPTED}
    assert len(said(relay, "MAIL")) == 2
    assert said(relay, "MAIL")[0].endswith(f" SIZE={len(undotted(relay.contents[0]))}")  # as it left, in ASCII


@pytest.mark.parametrize("size", ["SIZE", "SIZE 0", "SIZE many", "SIZE -1", "SIZE " + "9" * 40, "SIZE ١٢"])
def test_a_size_that_is_no_limit_limits_nothing(relay_with, size):
    relay_with(size)
    assert verdicts(deliver(a_message())[0]) == {"b@example.com": Verdict.ACCEPTED}


@pytest.mark.parametrize("groups", GROUPS)
def test_an_address_outside_ascii_is_reached_where_it_can_be(relay_with, groups):
    relay = relay_with("SMTPUTF8", "8BITMIME", *groups)
    replies = deliver(a_message(), a_message("Jürgen <jürgen@bücher.example>", "b@example.com"))[1]
    assert set(verdicts(replies).values()) == {Verdict.ACCEPTED}
    assert said(relay, "RCPT")[1:] == ["RCPT TO:<jürgen@xn--bcher-kva.example>", "RCPT TO:<b@example.com>"]
    assert [" SMTPUTF8" in line for line in said(relay, "MAIL")] == [False, True]
    assert "<jürgen@xn--bcher-kva.example>".encode() in relay.contents[1]


@pytest.mark.parametrize("groups", GROUPS)
def test_where_it_cannot_only_that_recipient_is_refused(relay_with, groups):
    relay = relay_with("8BITMIME", *groups)
    replies = deliver(a_message(), a_message("jürgen@example.com", "b@example.com"))[1]
    assert verdicts(replies) == {"jürgen@example.com": Verdict.REFUSED, "b@example.com": Verdict.ACCEPTED}
    assert "SMTPUTF8" in replies["jürgen@example.com"].text
    assert said(relay, "RCPT") == ["RCPT TO:<b@example.com>"] * 2
    assert b"J\xc3" not in relay.contents[1]


def test_nor_does_anybody_get_a_mail_from_a_sender_whom_the_relay_cannot_name(relay_with):
    relay = relay_with("8BITMIME")
    [replies] = deliver(a_message("b@example.com", "c@example.com", from_email="jürgen@example.com"))
    assert set(verdicts(replies).values()) == {Verdict.REFUSED}
    assert "sender" in replies["c@example.com"].text
    assert not said(relay, "MAIL")


@pytest.mark.parametrize("groups", GROUPS)
def test_what_we_have_no_use_for_is_ignored(relay_with, groups):
    relay = relay_with(*ALL, *groups)
    assert verdicts(deliver(a_message())[0]) == {"b@example.com": Verdict.ACCEPTED}
    assert not said(relay, "BDAT")


def test_a_relay_that_only_knows_helo_gets_the_mail_in_ascii(relay_with):
    relay = relay_with(EHLO="502 5.5.1 Unknown command")
    assert verdicts(deliver(a_message())[0]) == {"b@example.com": Verdict.ACCEPTED}
    assert (len(said(relay, "helo")), relay.contents[0].isascii()) == (1, True)


def test_the_abilities_of_the_next_connection_count_there(relay_with):
    answers = ["250-relay.test\r\n250 8BITMIME", "250 relay.test"]
    relay = relay_with(EHLO=answers, idle=["drop"])
    deliver(a_message())
    deliver(a_message())
    assert [content.isascii() for content in relay.contents] == [False, True]
