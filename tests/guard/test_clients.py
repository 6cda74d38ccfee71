"""flasky.guard.clients: who is at the other end, and who is believed about it."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from flasky.env import proxies
from flasky.guard.clients import behind_proxies, network

FORGED = {
    "HTTP_FORWARDED": "for=198.51.100.1;proto=https",
    "HTTP_X_FORWARDED_FOR": "198.51.100.1",
    "HTTP_X_FORWARDED_HOST": "evil.example",
    "HTTP_X_FORWARDED_PORT": "1",
    "HTTP_X_FORWARDED_PREFIX": "/evil",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_REAL_IP": "198.51.100.1",
}


def seen(peer, **headers):
    """Return the request as the views get it."""
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **headers)
    behind_proxies(lambda request: HttpResponse())(request)
    return request


@pytest.fixture
def believe(settings):
    def name(value):
        settings.FORWARDED_ALLOW_IPS = proxies(value)

    return name


def test_without_a_trusted_proxy_nothing_that_is_forwarded_is_believed():
    request = seen("127.0.0.1", **FORGED)
    assert not FORGED.keys() & request.META.keys()
    assert (network(request), request.is_secure()) == ("127.0.0.1", False)


def test_who_is_no_trusted_proxy_is_not_believed_while_others_are(believe):
    believe("10.0.0.7")
    request = seen("203.0.113.9", **FORGED)
    assert not FORGED.keys() & request.META.keys()
    assert (network(request), request.is_secure()) == ("203.0.113.9", False)


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the left one was sent by the visitor
        ("203.0.113.9, 10.0.0.8", "203.0.113.9"),  # two proxies, one behind the other
        ("evil, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, evil", "10.0.0.7"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", "10.0.0.7"),
        ("10.0.0.8", "10.0.0.8"),
    ],
)
def test_a_trusted_proxy_says_who_the_client_is(believe, forwarded, client):
    believe("10.0.0.0/29, 10.0.0.8")
    assert network(seen("10.0.0.7", HTTP_X_FORWARDED_FOR=forwarded)) == client


def test_a_trusted_proxy_says_whether_it_was_https(believe):
    believe("10.0.0.7")
    assert seen("10.0.0.7", HTTP_X_FORWARDED_PROTO="https").is_secure()
    assert not seen("10.0.0.7", HTTP_X_FORWARDED_PROTO="http").is_secure()


def test_of_what_everybody_may_say_only_the_last_word_counts(believe):
    believe("*")
    assert network(seen("10.0.0.7", HTTP_X_FORWARDED_FOR="198.51.100.1, 203.0.113.9")) == "203.0.113.9"


def test_one_customers_network_of_ipv6_is_counted_as_one():
    assert network(seen("2001:db8:1:2:3::4")) == network(seen("2001:db8:1:2::5")) == "2001:db8:1:2::/64"
    assert network(seen("2001:db8:1:3::4")) != network(seen("2001:db8:1:2::4"))
    assert network(seen("fe80::1%eth0")) == "fe80::/64"


@pytest.mark.parametrize("peer", ["", "unix:", "nonsense"])
def test_a_peer_without_an_address_is_counted_with_its_like(peer):
    assert network(seen(peer)) == ""


@pytest.mark.parametrize("value", ["localhost", "10.0.0.0/33", "10.0.0.7;10.0.0.8", "*, 10.0.0.7"])
def test_what_is_no_address_is_no_proxy(value):
    with pytest.raises(ValueError, match="addresses or networks"):
        proxies(value)
