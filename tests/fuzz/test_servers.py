"""The servers as the README starts them, on connections that no browser would make."""

import re
import socket
import sys
from contextlib import contextmanager

import pytest
from hypothesis import given

from tests.children import Child
from tests.conftest import wait_until
from tests.fuzz.amount import TIMEOUT, trying
from tests.fuzz.requests import connections
from tests.own_servers import answers, free_port
from tests.running_site import Site

pytestmark = pytest.mark.timeout(TIMEOUT)

# What the server waits for of a request that is not whole, and then takes for an answer's end.
IS_IT_WELL = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
LAST = b"\r\n\r\n" + IS_IT_WELL * 12
WAITING = 2  # s without a word, after which a server is taken to wait for the rest of a body
HEAD = re.compile(rb"HTTP/1\.[01] (\d{3}) .*?\r\n\r\n", re.S)
GAINED = re.compile(rb"(?im)^[^:\r\n]*injected")  # a header's name; a Location may say what was asked for
NOT_HTTP = {501, 505}  # what a server says to what is no HTTP, or none of its versions
# uvicorn fails at its own answer to a HEAD whose chunks are broken, and closes; nothing of ours is asked.
UVICORNS_OWN = re.compile(
    r"ERROR asyncio: Fatal error: protocol\.data_received\(\) call failed\.\n(?:(?!DEBUG|INFO|WARNING|ERROR).*\n)+"
)
STORE = """
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.db.models import Max
email = EmailMultiAlternatives("Hi", "Hello", "ann@example.com", ["admin@example.com"])
email.attach_alternative("<p>Hello", "text/html")
email.attach("a.txt", "a")
email.send()
User.objects.bulk_create([User(username="Boss", email="admin@example.com", is_staff=True, is_superuser=True)])
"""
LOG_IN = """
from django.test import Client
client = Client()
User.objects.filter(username="Boss").update(is_active=True, is_staff=True, is_superuser=True, email="admin@example.com")
client.force_login(User.objects.get_or_create(username="Boss", defaults={"is_staff": True, "is_superuser": True})[0])
print(client.cookies["sessionid"].value)
"""


class Target:
    def __init__(self, site, port):
        self.site, self.port, self.cookie = site, port, ""

    def log_in(self):
        self.cookie = f"sessionid={self.site.shell(LOG_IN)}"

    def stay_logged_in(self):
        """Log in anew if what was sent has ended the session, or removed the user."""
        asked = f"GET /admin/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nCookie: {self.cookie}\r\n\r\n"
        if b"HTTP/1.1 200" not in self.said(asked.encode()):
            self.log_in()

    def said(self, sent):
        """Return all that the server says to these bytes until it closes."""
        said = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAITING) as client:
            try:
                client.sendall(sent)
                while more := client.recv(65536):
                    said += more
            except (ConnectionResetError, BrokenPipeError, TimeoutError):
                pass  # it closed before it had read all, or waits for more, as it may
        return said


@contextmanager
def gunicorn(site):
    site.start()
    try:
        yield Target(site, int(site.url.rpartition(":")[2]))
    finally:
        site.stop()


@contextmanager
def uvicorn(site):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "flasky.asgi:application", "--port", str(port), "--no-proxy-headers"]
    with (
        open(f"{site.folder}/log", "w+") as log,
        Child(command, env=site.environment, stderr=log, stdout=log) as process,
    ):
        try:
            wait_until(lambda: answers("127.0.0.1", port))
            yield Target(site, port)
        finally:
            process.terminate()
            process.wait(60)
            log.seek(0)
            site.log = log.readlines()


@pytest.fixture(scope="module", params=[gunicorn, uvicorn], ids=["gunicorn", "uvicorn"])
def server(request, tmp_path_factory):
    # Only while DEBUG is there a mailbox.
    folder = tmp_path_factory.mktemp("site")
    site = Site(
        folder,
        MAIL_DISPATCHER="none",
        DEBUG=str(request.param is uvicorn),
        LOGINS_PER_NAME="0",
        NAMES_PER_VISITOR="0",
        NAMES_PER_ADDRESS="0",
        NAMES_IN_TOTAL="0",
        PYTHONWARNINGS="ignore",
        MAIL_METRICS_TOKEN="a-token-of-sixteen",
    )
    site.folder = folder
    site.shell(STORE)
    with request.param(site) as target:
        target.log_in()
        yield target
        assert_nobody_else_gets_mail(site)
    log = UVICORNS_OWN.sub("", "".join(site.log))
    strange = re.search(r"(?m)^(?!DEBUG|INFO|WARNING|ERROR|\[\d{4}-).+", log)
    assert not strange, log[max(0, strange.start() - 500) : strange.start() + 4000]


def assert_nobody_else_gets_mail(site):
    stored = site.shell("print({*map(str, OutboxMessage.objects.values_list('recipients', flat=True))})")
    assert stored == """{"['admin@example.com']"}""", stored


@trying(150)
@given(sent=connections(("", "SESSION")))
def test_whatever_is_sent_no_server_fails_at_it(server, sent):
    said = server.said(sent.replace(b"SESSION", server.cookie.encode()) + LAST)
    heads = list(HEAD.finditer(said))
    assert {int(head[1]) for head in heads} < {*range(500)} | NOT_HTTP, said
    assert not any(GAINED.search(head[0]) for head in heads), said
    assert b"200 OK" in server.said(IS_IT_WELL)
    server.stay_logged_in()
