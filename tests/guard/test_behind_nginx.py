"""The site behind a real nginx, whose location is the one in docs/deployment.md."""

import shutil
import socket
import subprocess
import time

import pytest

from tests.conftest import missing, wait_until
from tests.docs.pages import blocks
from tests.guard.test_servers import HALVES, connect, is_listening, request, said
from tests.own_servers import free_port
from tests.running_site import Site

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONF = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The port of nginx, which passes everything on to a site with few threads."""
    if not NGINX:
        missing("nginx")
    folder, front = tmp_path_factory.mktemp("nginx"), free_port()
    site = Site(folder, threads=4, MAIL_DISPATCHER="none", FORWARDED_ALLOW_IPS="127.0.0.1", HTTPS="True")
    site.start()
    [location] = [block.text for block in blocks("nginx") if block.page == "docs/deployment.md"]
    location = location.replace("127.0.0.1:8000", site.url.removeprefix("http://"))
    (folder / "nginx.conf").write_text(CONF.format(folder=folder, port=front, location=location))
    nginx = subprocess.Popen([NGINX, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    try:
        wait_until(lambda: is_listening(front))
        yield front
    finally:
        nginx.terminate()
        nginx.wait(60)
        site.stop()


def test_what_a_visitor_says_of_the_way_is_overwritten(port):
    forged = "X-Forwarded-Proto: https\r\nX-Request-ID: forged\r\nX-Forwarded-For: 198.51.100.1\r\n"
    with connect(port) as client:
        status, answer = said(client, request(forged))
    assert status == "HTTP/1.1 301 Moved Permanently"  # nginx was asked without TLS, and says so
    assert "Location: https://127.0.0.1/" in answer
    assert "forged" not in answer


def test_two_hundred_slow_clients_keep_nobody_waiting(port):
    slow = []
    try:
        for half in HALVES * 40:
            slow.append(socket.create_connection(("127.0.0.1", port), timeout=30))
            slow[-1].sendall(half.encode())
        for _ in range(20):
            began = time.monotonic()
            with connect(port) as client:
                assert said(client, request("Connection: close\r\n", "/healthz"))[0] == "HTTP/1.1 200 OK"
            assert time.monotonic() - began < 15  # s; to wait for some of them would be 20 at least
    finally:
        for client in slow:
            client.close()
