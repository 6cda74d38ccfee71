"""A name typed in the browser becomes an e-mail at a real SMTP server: whole journeys through real processes."""

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.children import Child
from tests.conftest import wait_until
from tests.own_servers import free_port
from tests.running_site import Site, Visitor
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A site, and the relay that it delivers to, for all who do not disturb each other."""
    with SmtpServer() as relay, Site(tmp_path_factory.mktemp("site"), relay) as site:
        site.relay = relay
        yield site


@pytest.fixture
def site(shared):
    shared.relay.mails.clear()
    shared.relay.gate.set()
    return shared


@pytest.fixture
def relay(site):
    return site.relay


def assert_tells_of(mail, name, html_name=None):
    """Compare a received mail part by part with what the administrators are to get."""
    message = mail.message
    assert mail.sender == "flasky@example.com"
    assert mail.recipients == ["admin@example.com"]
    assert message["Subject"].startswith("[Flasky] New User: ")
    assert message["From"] == "Flasky Admin <flasky@example.com>"
    assert message["To"] == "admin@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Date"].datetime.utcoffset() is not None
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert mail.text.splitlines()[0] == f"User {name} has joined."
    assert f"User <b>{html_name or name}</b> has joined." in mail.html


@pytest.mark.main_road
def test_a_name_typed_in_the_form_becomes_a_mail(site, relay):
    visitor = Visitor(site)
    assert "Hello, Stranger!" in visitor.get().text
    page = visitor.submit("Zoë O'Brien <b>")
    assert [response.status_code for response in page.history] == [302]
    assert "Hello, Zoë O&#x27;Brien &lt;b&gt;!" in page.text
    assert "Pleased to meet you!" in page.text
    [mail] = relay.wait_for(1)
    assert_tells_of(mail, "Zoë O'Brien <b>", "Zoë O&#x27;Brien &lt;b&gt;")
    assert "Happy to see you again!" in visitor.submit("Zoë O'Brien <b>").text
    assert len(relay.mails) == 1


@pytest.mark.main_road
def test_a_user_added_in_the_admin_becomes_a_mail(site, relay):
    names = ("--username", "boss", "--email", "boss@example.com")
    site.manage("createsuperuser", "--noinput", *names, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    visitor = Visitor(site)
    visitor.post("/admin/login/?next=/admin/", username="boss", password=PASSWORD)
    page = visitor.post("/admin/accounts/user/add/", username="Ann Lee", usable_password="false")
    assert page.status_code == 200
    boss, ann = sorted(relay.wait_for(2), key=lambda mail: "Ann" in mail.text)
    assert_tells_of(boss, "boss")
    assert_tells_of(ann, "Ann Lee")
    outbox = visitor.get("/admin/flasky_mail/outboxmessage/").text
    assert "New User: " in outbox
    assert "admin@example.com" in outbox


def test_who_logs_out_of_one_process_is_logged_out_of_all_and_so_is_a_thief(tmp_path):
    with Site(tmp_path, workers=3) as site:
        site.manage(
            "createsuperuser", "--noinput", "--username", "boss", "--email", "", DJANGO_SUPERUSER_PASSWORD=PASSWORD
        )
        boss, thief = Visitor(site), Visitor(site)
        boss.post("/admin/login/?next=/admin/", username="boss", password=PASSWORD)
        thief.session.cookies.update(boss.session.cookies)
        looks = ["/admin/"] * 20  # each process is asked
        assert {bool(thief.get(look).history) for look in looks} == {False}
        assert thief.submit("Eve").status_code == 200
        token = boss.session.cookies["csrftoken"]
        boss.session.post(f"{site.url}/admin/logout/", {"csrfmiddlewaretoken": token})
        assert {thief.get(look).url for look in looks} == {f"{site.url}/admin/login/?next=/admin/"}
        assert site.count("Session") == 0


@pytest.mark.main_road
def test_sendtestemail_sends_now_and_through_the_outbox(site, relay):
    printed = site.manage("sendtestemail", "ann@example.com", "--template", "mail/new_user")
    assert "accepted: 250 2.0.0 Queued as 1" in printed
    assert relay.mails[0].recipients == ["ann@example.com"]
    assert "Sent      250 2.0.0 Queued as 3" in site.manage("sendtestemail", "bob@example.com", "--queue")
    assert relay.mails[2].recipients == ["bob@example.com"]


@pytest.mark.main_road
def test_a_user_made_in_the_shell_becomes_a_mail_with_the_next_sweep(site, relay):
    site.shell("User.objects.create_user('Shell')")
    assert_tells_of(relay.wait_for(1)[0], "Shell")


def test_starttls_with_login(tmp_path, tls_context, ca_file):
    with SmtpServer(starttls_context=tls_context, login=("ann", "$ecret #1")) as relay:
        credentials = {"MAIL_USERNAME": "ann", "MAIL_PASSWORD": "$ecret #1", "SSL_CERT_FILE": ca_file}
        with Site(tmp_path, relay, MAIL_SERVER="localhost", MAIL_USE_TLS="True", **credentials) as site:
            Visitor(site).submit("Ann")
            [mail] = relay.wait_for(1)
            assert (mail.secured, mail.login) == (True, "ann")
            assert_tells_of(mail, "Ann")
            assert "$ecret" not in "".join(site.log)


@pytest.mark.main_road
def test_a_slow_relay_makes_no_request_wait(site, relay):
    """The relay is still silent about the first mail when the answers to both posts are there."""
    relay.gate.clear()
    visitor = Visitor(site)
    assert "Hello, Ann!" in visitor.submit("Ann").text
    relay.wait_until_in_data(1)
    assert "Hello, Bob!" in visitor.submit("Bob").text
    assert relay.mails == []
    relay.gate.set()
    relay.wait_for(2)


def test_forty_posts_of_one_new_name_make_one_user_and_one_mail(tmp_path, smtp_server):
    with Site(tmp_path, smtp_server, workers=3) as site:
        visitors = [Visitor(site) for _ in range(40)]
        with ThreadPoolExecutor(40) as crowd:
            pages = list(crowd.map(lambda visitor: visitor.submit("Ann"), visitors))
        assert {page.status_code for page in pages} == {200}
        assert sum("Pleased to meet you!" in page.text for page in pages) == 1
        smtp_server.wait_for(1)
        assert site.count("User") == 1
        assert site.count("OutboxMessage") == 1


def test_two_hundred_names_over_three_processes_make_two_hundred_mails(tmp_path, smtp_server):
    with Site(tmp_path, smtp_server, workers=3, threads=4) as site:
        with ThreadPoolExecutor(12) as crowd:
            pages = list(crowd.map(lambda number: Visitor(site).submit(f"Guest {number}"), range(200)))
        assert {page.status_code for page in pages} == {200}
        mails = smtp_server.wait_for(200, timeout=60)
        assert {mail.text.splitlines()[0] for mail in mails} == {f"User Guest {n} has joined." for n in range(200)}
        assert len(smtp_server.mails) == 200
        assert site.count("User") == 200
        wait_until(lambda: site.count("OutboxMessage", state="sent") == 200)
        assert not [line for line in site.log if "locked" in line]


def test_what_a_relay_that_is_down_left_waiting_is_delivered_after_a_restart(tmp_path):
    with Site(tmp_path, MAIL_PORT="1") as site:
        assert "Hello, Ann!" in Visitor(site).submit("Ann").text
        wait_until(lambda: "connection refused" in "".join(site.log))
        site.stop()
        with SmtpServer() as relay:
            site.environment["MAIL_PORT"] = str(relay.port)
            site.start()
            assert_tells_of(relay.wait_for(1)[0], "Ann")
            site.stop()


@pytest.mark.main_road
def test_sigterm_finishes_the_mail_on_the_wire_and_leaves_the_rest(tmp_path, smtp_server):
    with Site(tmp_path, smtp_server, MAIL_WORKERS="1") as site:
        smtp_server.gate.clear()
        visitor = Visitor(site)
        visitor.submit("Ann")
        smtp_server.wait_until_in_data(1)
        visitor.submit("Bob")
        site.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts_connections(site.url))
        smtp_server.gate.set()
        site.stop()
        assert len(smtp_server.mails) == 1
        assert site.count("OutboxMessage", state="sent") == 1
        assert site.count("OutboxMessage", state="queued") == 1


def accepts_connections(url):
    try:
        requests.get(url + "/healthz", timeout=5)
    except requests.RequestException:
        return False
    return True


def test_preloaded_processes_deliver_too(tmp_path, smtp_server):
    """Threads that were started before the fork would never run."""
    with Site(tmp_path, smtp_server, workers=2, arguments=["--preload"]) as site:
        Visitor(site).submit("Ann")
        assert_tells_of(smtp_server.wait_for(1)[0], "Ann")


def test_a_server_refuses_to_start_with_settings_that_cannot_work(tmp_path):
    site = Site(tmp_path, MAIL_PORT="70000")
    site.start()
    site.process.wait(60)
    site.stop()
    log = "".join(site.log)
    assert "MAIL_PORT is 70000; ports go from 1 to 65535." in log
    assert "Traceback" not in log
    assert site.process.returncode != 0


@pytest.mark.main_road
def test_an_asgi_server_serves_the_same_site(tmp_path, smtp_server):
    site = Site(tmp_path, smtp_server)
    site.options = []
    with Uvicorn(site) as served:
        Visitor(served).submit("Ann")
        assert_tells_of(smtp_server.wait_for(1)[0], "Ann")


def test_an_asgi_server_that_is_stopped_finishes_the_mail_on_the_wire(tmp_path, smtp_server):
    site = Site(tmp_path, smtp_server)
    smtp_server.gate.clear()
    with Uvicorn(site) as served:
        Visitor(served).submit("Ann")
        smtp_server.wait_until_in_data(1)
        served.process.terminate()
        wait_until(lambda: not accepts_connections(served.url))
        smtp_server.gate.set()
    assert site.count("OutboxMessage", state="sent") == 1


@pytest.mark.parametrize(
    "options",
    [[], pytest.param(["--noreload"], marks=pytest.mark.main_road)],
    ids=["with autoreload", "without autoreload"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_development_server_that_is_stopped_finishes_the_mail_on_the_wire(tmp_path, smtp_server, options, number):
    site = Site(tmp_path, smtp_server, DEBUG="True")
    site.url = f"http://127.0.0.1:{free_port()}"
    smtp_server.gate.clear()
    command = [sys.executable, "manage.py", "runserver", site.url.removeprefix("http://"), *options]
    with Child(command, env=site.environment, start_new_session=True, stderr=subprocess.DEVNULL) as server:
        wait_until(lambda: accepts_connections(site.url))
        Visitor(site).submit("Ann")
        smtp_server.wait_until_in_data(1)
        if number == signal.SIGINT:
            os.killpg(server.pid, number)  # a terminal sends it to all
        else:
            server.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):  # it does not leave the mail behind
            server.wait(1)
        smtp_server.gate.set()
        server.wait(60)
    assert site.count("OutboxMessage", state="sent") == 1


class Uvicorn:
    def __init__(self, site):
        self.environment = site.environment

    def __enter__(self):
        command = [sys.executable, "-m", "uvicorn", "flasky.asgi:application", "--port", "0"]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                self.url = found[1]
                return self
        raise AssertionError("uvicorn did not start")

    def __exit__(self, *error):
        self.process.terminate()
        self.process.communicate(timeout=60)
