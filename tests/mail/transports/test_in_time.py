"""flasky.mail.transports.in_time: one deadline for a whole request, by TLS and through a proxy as well."""

import os
import time
import tracemalloc
import zlib
from contextlib import contextmanager

import pytest

from flasky.mail.transports import new_transport
from tests.http_provider import DEAF, DRIP, Endless, HttpProvider
from tests.mail.transports.test_every_provider import AWS, TAKEN, a_message, deliver, meaning, options

BOTH = pytest.mark.parametrize("name", ["postmark", "amazon_ses"])


@pytest.fixture
def environment(monkeypatch, ca_file):
    for variable in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(variable)
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def trusted(environment, ca_file):
    for variable in ("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
        environment.setenv(variable, ca_file)


@pytest.fixture
def use(settings, environment):
    """A function that makes ready a transport to this provider at this URL, with a timeout of so many seconds."""

    def start(name, url, timeout=5):
        settings.MAIL_TIMEOUT = timeout
        settings.MAIL_TRANSPORT = f"anymail.backends.{name}.EmailBackend"
        settings.ANYMAIL = options(name, url)
        return new_transport()

    return start


@BOTH
def test_mails_go_by_tls_over_one_connection(use, trusted, tls_context, name):
    with HttpProvider(TAKEN[name], tls_context=tls_context) as server:
        transport = use(name, server.url)
        large = a_message(attachments=[("all.bin", os.urandom(300_000), "application/octet-stream")])
        for message in (a_message(), large, a_message()):
            assert meaning(deliver(transport, message)) == "sent"
        assert (len(server.requests), server.connections) == (3, 1)
        transport.close()


@BOTH
def test_by_tls_too_nothing_takes_longer_than_the_timeout(use, trusted, tls_context, name):
    with HttpProvider(DRIP, tls_context=tls_context) as server:
        transport = use(name, server.url, timeout=3)
        started = time.monotonic()
        assert meaning(deliver(transport)) == "unknown"
        assert time.monotonic() - started < 60  # a drip has no end
        transport.close()


def test_by_tls_too_a_request_that_is_not_taken_whole_is_no_doubt(use, trusted, tls_context):
    message = a_message(attachments=[("all.bin", b"x" * 6_000_000, "application/octet-stream")])
    with HttpProvider(DEAF, tls_context=tls_context) as server:
        transport = use("postmark", server.url, timeout=2)
        assert meaning(deliver(transport, message)) == "later"
        transport.close()


@BOTH
def test_a_certificate_that_is_not_trusted_is_named(use, tls_context, name):
    with HttpProvider(TAKEN[name], tls_context=tls_context) as server:
        reply = deliver(use(name, server.url))
        assert (meaning(reply), "certificate of" in str(reply), server.requests) == ("settings", True, [])


@BOTH
@pytest.mark.parametrize(("said", "verdict"), [(None, "sent"), (DRIP, "unknown")])
def test_a_proxy_is_used_and_waited_for_no_longer(use, environment, name, said, verdict):
    with HttpProvider(said or TAKEN[name]) as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("http_proxy", proxy.url)
        assert meaning(deliver(use(name, "http://provider.test/", timeout=3))) == verdict
        assert len(proxy.requests) == 1


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
MOST_MEMORY = 32 * 1024 * 1024  # bytes; of 128 MB that are not unpacked


@BOTH
@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (Endless(HEAD + b"\r\n", b"x" * 65536), "unknown"),
        (Endless(HEAD, b"X-More: " + b"x" * 60000 + b"\r\n"), "unknown"),
        (Endless(HEAD + b"X-More: ", b"x" * 65536), "unknown"),
        (Endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"), "unknown"),
    ],
    ids=["body", "headers", "one header", "chunks"],
)
def test_an_answer_without_an_end_takes_no_more_memory_than_it_may(use, name, said, verdict):
    with HttpProvider(said) as server:
        transport = use(name, server.url, timeout=30)
        with memory_of_at_most(MOST_MEMORY):
            assert meaning(deliver(transport)) == verdict
        transport.close()


def test_what_the_status_says_counts_whatever_follows(use):
    with HttpProvider(Endless(HEAD.replace(b"200 OK", b"401 No") + b"\r\n", b"x" * 65536)) as server:
        assert meaning(deliver(use("postmark", server.url, timeout=30))) == "settings"


def test_a_small_answer_that_unpacks_to_a_huge_one_is_not_unpacked_whole(use):
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1024 * 1024)) for _ in range(128)) + packer.flush()
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with HttpProvider(head + bomb) as server, memory_of_at_most(MOST_MEMORY):
        assert meaning(deliver(use("postmark", server.url, timeout=30))) == "unknown"


@contextmanager
def memory_of_at_most(size):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()
