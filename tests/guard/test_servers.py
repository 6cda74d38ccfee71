"""What clients can do to the servers themselves: bodies without end, half-sent requests, forged headers."""

import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest
from django.conf import settings as site_settings

from tests.conftest import wait_until
from tests.own_servers import free_port
from tests.running_site import Site

THREADS = 4
PATHS = ["/", "/admin/login/", "/healthz", "/readyz", "/static/flasky/style.css", "/nowhere", "/mailbox/"]
COOKIES = ["", "Cookie: sessionid=" + "a" * 32 + "; csrftoken=" + "b" * 32 + "\r\n"]
LARGE = f"Content-Length: {site_settings.MAX_BODY_SIZE + 1}"


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def port(request, tmp_path_factory):
    """The port of a site with one process and few threads."""
    site = Site(
        tmp_path_factory.mktemp("site"),
        threads=THREADS,
        MAIL_DISPATCHER="none",
        DJANGO_SETTINGS_MODULE="tests.guard.patient_settings",
    )
    if request.param == "gunicorn":
        site.start()
        yield int(site.url.rpartition(":")[2])
        site.stop()
        assert site.process.returncode == 0, "".join(site.log)
    else:
        yield from uvicorn(site)


@pytest.fixture
def server(request):
    return request.node.callspec.params["port"]


def uvicorn(site):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "flasky.asgi:application", "--port", str(port), "--no-proxy-headers"]
    process = subprocess.Popen(command, env=site.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: is_listening(port))
        yield port
    finally:
        process.terminate()
        process.wait(60)


def is_listening(port):
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    return closing(client)


def said(client, request):
    """Send this text and return the first line of the answer, and all of it."""
    client.sendall(request.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = client.recv(65536)
        assert more, "it was closed without an answer"
        answer += more
    return answer.decode().split("\r\n")[0], answer.decode()


def request(head, path="/", method="GET", body=""):
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n{body}"


HALVES = [
    "",
    "GET / HT",
    request("")[:-2],
    request("Content-Length: 100\r\n", method="POST", body="name="),
    request("", "/healthz") + "GET /",
]


@pytest.mark.parametrize("cookie", COOKIES, ids=["no cookie", "with cookies"])
@pytest.mark.parametrize("path", PATHS)
def test_a_large_body_is_refused_before_any_of_it_is_sent(port, path, cookie):
    with connect(port) as client:
        status, answer = said(client, request(f"{cookie}{LARGE}\r\n", path, "POST"))
        assert status.startswith("HTTP/1.1 413")
        assert "connection: close" in answer.lower()
        assert "no-store" in answer


@pytest.mark.parametrize("length", ["9" * 19, str(300 * 2**20)])
def test_no_number_is_too_large_to_be_refused(port, length):
    with connect(port) as client:
        assert said(client, request(f"Content-Length: {length}\r\n", method="POST"))[0].startswith("HTTP/1.1 413")


def test_who_sends_a_large_body_nevertheless_reads_the_answer(port):
    with connect(port) as client:
        body = "x" * (site_settings.MAX_BODY_SIZE + 1)
        assert said(client, request(f"{LARGE}\r\n", method="POST", body=body))[0].startswith("HTTP/1.1 413")


def test_a_body_whose_length_is_not_said_is_refused(port):
    with connect(port) as client:
        status, _ = said(client, request("Transfer-Encoding: chunked\r\n", method="POST", body="3\r\nabc\r\n"))
        assert status.startswith("HTTP/1.1 411")


def test_a_head_without_end_is_refused(port):
    with connect(port) as client:
        status, _ = said(client, "GET / HTTP/1.1\r\n" + "X: " + "y" * 80_000)
        assert status.startswith(("HTTP/1.1 431", "HTTP/1.1 400"))


def test_a_body_of_the_largest_size_that_comes_in_pieces_is_read_whole(port):
    body = "name=" + "x" * (site_settings.MAX_BODY_SIZE - 5)
    head = f"Content-Length: {len(body)}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    with connect(port) as client:
        client.sendall(request(head, method="POST").encode())
        for start in range(0, len(body), 100_000):
            client.sendall(body[start : start + 100_000].encode())
        assert said(client, "")[0].startswith("HTTP/1.1 403")  # no token of the form


def test_a_client_that_asks_before_it_sends_the_body_is_told_to_go_on(port):
    head = "Content-Length: 6\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n"
    with connect(port) as client:
        assert said(client, request(head, method="POST"))[0].startswith("HTTP/1.1 100")
        client.sendall(b"name=x")
        wait_until(lambda: b"403" in client.recv(65536))


def test_two_requests_in_one_piece_get_two_answers(port):
    with connect(port) as client:
        client.sendall(request("", "/healthz").encode() * 2)
        answers = b""
        while answers.count(b"200 OK") < 2:
            answers += client.recv(65536)


def test_clients_that_send_half_a_request_keep_nobody_waiting(port, server):
    slow = []
    try:
        for _ in range(2 * THREADS):
            for half in HALVES:
                slow.append(socket.create_connection(("127.0.0.1", port), timeout=60))
                slow[-1].sendall(half.encode())
        for _ in range(20):
            began = time.monotonic()
            with connect(port) as client:
                assert said(client, request("Connection: close\r\n", "/healthz"))[0] == "HTTP/1.1 200 OK"
            assert time.monotonic() - began < 20  # s; were each waited for, it would be 48
        if server == "gunicorn":
            assert_closed(slow)
    finally:
        for client in slow:
            client.close()


def assert_closed(clients):
    """Each is closed by the server once it has had its time."""
    for client in clients:
        while client.recv(65536):
            pass


def test_clients_that_do_not_close_keep_nobody_waiting(port):
    left_open = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(30)]
    began = time.monotonic()
    for client in left_open:
        assert said(client, request("Connection: close\r\n", "/healthz"))[0] == "HTTP/1.1 200 OK"
    assert time.monotonic() - began < 30  # s; waiting 2 s for each would be 60
    for client in left_open:
        client.close()


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script-Name", "X-Script-Name", "X-Forwarded-Prefix"])
def test_a_forged_header_makes_no_other_path_and_no_https(port, name):
    forged = f"{name}: /evil\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-For: 198.51.100.1\r\n"
    with connect(port) as client:
        answer = said(client, request(forged, "/admin/"))[1]
        assert "evil" not in answer
        assert "/admin/login/?next=/admin/" in answer
