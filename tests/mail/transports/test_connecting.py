"""What we call ourselves, and how we log in."""

import base64
import hashlib
import hmac
import re
import socket

import pytest
from django.core.checks import run_checks

from flasky.mail import transports
from flasky.mail.transports import TransportUnavailable, borrow, login
from flasky.mail.transports.connecting import address_literal, ehlo_name, is_ehlo_name
from tests.conftest import use_relay
from tests.mail.transports.handing_over import deliver, verdicts
from tests.scripted_relay import ScriptedRelay

USER, PASSWORD = "ann", "pässwörd"
CHALLENGE = b"<1896.697170952@relay.test>"


def encoded(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.fixture
def relay_with(settings):
    relays = []

    def start(*abilities, login=True, **script):
        answer = "\r\n".join(["250-relay.test", *(f"250-{each}" for each in abilities), "250 HELP"])
        relay = ScriptedRelay(**{"EHLO": answer, **script}).__enter__()
        relays.append(relay)
        use_relay(settings, relay)
        if login:
            settings.MAIL_USERNAME, settings.MAIL_PASSWORD = USER, PASSWORD
        return relay

    yield start
    for relay in relays:
        relay.__exit__()


def names(relay):
    return [line.split(" ")[1] for line in relay.heard if line.lower().startswith("ehlo")]


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("web1.example.com", "web1.example.com"),
        ("3f2a91bc", "[127.0.0.1]"),  # a container
        ("localhost.localdomain", "[127.0.0.1]"),
        ("web_1.example.com", "[127.0.0.1]"),
        ("büro.example.com", "[127.0.0.1]"),
        ("a" * 64 + ".example.com", "[127.0.0.1]"),
        ("10.0.0.7", "[127.0.0.1]"),
        ("", "[127.0.0.1]"),
    ],
)
def test_a_host_says_its_full_name_or_else_its_address(relay_with, monkeypatch, host, said):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(socket, "getfqdn", lambda *name: pytest.fail("asked DNS"))
    relay = relay_with(login=False)
    deliver()
    assert names(relay) == [said]


def test_by_ipv6_it_says_that_address(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "3f2a91bc")
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as server,
        socket.create_connection(server.getsockname()[:2]) as sock,
    ):
        assert ehlo_name(sock) == "[IPv6:::1]"


@pytest.mark.parametrize(
    ("address", "literal"),
    [
        ("172.17.0.2", "[172.17.0.2]"),
        ("::ffff:172.17.0.2", "[172.17.0.2]"),
        ("fe80::1%eth0", "[IPv6:fe80::1]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
    ],
)
def test_an_address_literal_is_as_rfc_5321_wants_it(address, literal):
    assert address_literal(address) == literal
    assert is_ehlo_name(literal)


@pytest.mark.parametrize(
    ("name", "said"), [("mail.example.com", "mail.example.com"), ("büro.example", "xn--bro-hoa.example")]
)
def test_a_project_may_give_it_a_name(relay_with, settings, name, said):
    settings.MAIL_EHLO_NAME = name
    relay = relay_with(login=False)
    deliver()
    assert names(relay) == [said]


@pytest.mark.parametrize(
    "name", ["a b", "a\r\nRSET", "a\0", "web_1.example.com", "[1.2.3]", "172.17.0.2:25", "-a.example"]
)
def test_a_name_that_no_server_takes_is_found_by_the_check(settings, name):
    settings.MAIL_EHLO_NAME = name
    assert "flasky.E040" in [each.id for each in run_checks(tags=["mail"])]


@pytest.mark.parametrize("name", ["web1.example.com", "web1", "büro.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", ""])
def test_a_good_name_is_none_of_its_business(settings, name):
    settings.MAIL_EHLO_NAME = name
    assert "flasky.E040" not in [each.id for each in run_checks(tags=["mail"])]


PLAIN = f"AUTH PLAIN {encoded(chr(0) + USER + chr(0) + PASSWORD)}"
IN = "235 2.7.0 Welcome"


@pytest.mark.parametrize(
    "offer", ["AUTH PLAIN", "AUTH LOGIN PLAIN XOAUTH2", "AUTH=PLAIN", "auth plain", "AUTH SCRAM-SHA-256 PLAIN"]
)
def test_a_login_by_plain_is_in_utf_8(relay_with, offer):
    relay = relay_with(offer, AUTH=IN)
    assert verdicts(deliver())
    assert [line for line in relay.heard if line.startswith("AUTH")] == [PLAIN]


@pytest.mark.parametrize("offer", ["AUTH LOGIN", "AUTH=LOGIN", "AUTH XOAUTH2 LOGIN"])
def test_a_login_by_login_says_one_after_the_other(relay_with, offer):
    user, password = encoded(USER), encoded(PASSWORD)
    relay = relay_with(offer, AUTH="334 VXNlcm5hbWU6", **{user.upper(): "334 UGFzc3dvcmQ6", password.upper(): IN})
    deliver()
    assert relay.heard[1:4] == ["AUTH LOGIN", user, password]


def test_a_login_by_cram_md5_does_not_send_the_password(relay_with):
    digest = hmac.new(PASSWORD.encode(), CHALLENGE, hashlib.md5).hexdigest()
    answer = encoded(f"{USER} {digest}")
    relay = relay_with("AUTH CRAM-MD5 PLAIN", AUTH=f"334 {encoded(CHALLENGE)}", **{answer.upper(): IN})
    deliver()
    assert relay.heard[1:3] == ["AUTH CRAM-MD5", answer]


def test_a_machine_without_md5_takes_the_next(relay_with, monkeypatch):
    """As OpenSSL in FIPS mode."""
    monkeypatch.setattr(login, "has_md5", lambda: False)
    relay = relay_with("AUTH CRAM-MD5 PLAIN", AUTH=IN)
    deliver()
    assert relay.heard[1] == PLAIN


def test_a_way_that_the_server_refuses_is_not_the_last(relay_with):
    relay = relay_with("AUTH CRAM-MD5 PLAIN", AUTH=["504 5.5.4 Not for you", IN])
    deliver()
    assert relay.heard[1:3] == ["AUTH CRAM-MD5", PLAIN]


@pytest.mark.parametrize(
    ("offers", "words"),
    [
        (["AUTH XOAUTH2"], ["wants a token", "XOAUTH2", "MAIL_PASSWORD", "MAIL_TRANSPORT"]),
        (["AUTH OAUTHBEARER XOAUTH2"], ["wants a token"]),
        (["AUTH SCRAM-SHA-256"], ["SCRAM-SHA-256", "PLAIN"]),
        (["AUTH GSSAPI NTLM"], ["GSSAPI, NTLM"]),
        (["STARTTLS"], ["no login before STARTTLS", "MAIL_USE_TLS"]),
        ([], ["does not offer a login", "MAIL_USERNAME"]),
    ],
)
def test_a_server_that_has_no_way_for_us_is_named_with_the_setting(relay_with, offers, words):
    relay_with(*offers)
    with pytest.raises(TransportUnavailable) as caught, borrow():
        pass
    assert not [word for word in words if word not in str(caught.value)]
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("echo", [PASSWORD, encoded(PASSWORD), PLAIN.removeprefix("AUTH PLAIN ")])
def test_no_sentence_and_no_log_repeats_the_password_even_if_the_server_does(relay_with, caplog, echo):
    relay_with("AUTH PLAIN", AUTH=f"535 5.7.8 Not with {echo}")
    with pytest.raises(TransportUnavailable, match="refused the login: 535") as caught, borrow():
        pass
    assert echo not in str(caught.value) + repr(caught.value.__cause__) + caplog.text


def test_a_server_that_hangs_up_at_the_login_is_asked_no_more(relay_with):
    relay = relay_with("AUTH CRAM-MD5 PLAIN", AUTH="421 4.7.0 Too many | drop")
    with pytest.raises(TransportUnavailable, match="421"), borrow():
        pass
    assert len([line for line in relay.heard if line.startswith("AUTH")]) == 1


def test_what_could_not_log_in_is_closed(relay_with):
    relay = relay_with("AUTH PLAIN", AUTH="535 5.7.8 No")
    for _ in range(3):
        with pytest.raises(TransportUnavailable), borrow():
            pass
    transports.close_kept()
    assert relay.sessions == 3


@pytest.mark.parametrize("said", ["421 4.3.2 Too many connections | drop", "421 Not now", "450 4.7.1 Later"])
def test_what_a_server_says_to_ehlo_that_takes_nobody_now_is_heard(relay_with, said):
    relay = relay_with(EHLO=said)
    with pytest.raises(TransportUnavailable, match=re.escape(said.removesuffix(" | drop"))) as caught:
        deliver()
    assert caught.value.is_crowded == said.startswith("421")
    assert [line.split()[0] for line in relay.heard if line != "quit"] == ["ehlo"]


def test_a_server_that_does_not_know_ehlo_is_greeted_with_helo(relay_with):
    relay = relay_with(EHLO="502 5.5.1 Unknown command", login=False)
    deliver()
    assert len(relay.accepted) == 1
