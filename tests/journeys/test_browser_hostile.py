"""Mails that want to be noticed or to lead elsewhere, opened and clicked through: their hosts hear nothing of it."""

import json
import selectors
import socket
import sys
import threading
from collections import Counter

import pytest

from tests.browser import message_url
from tests.conftest import wait_until
from tests.journeys.hostile_mails import LEADING, LOADING
from tests.running_site import Site

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")

STORE = """
import json, pathlib
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
with transaction.atomic():
    for name, html in json.loads(pathlib.Path("{path}").read_text()).items():
        email = EmailMultiAlternatives(name, "text", None, ["a@example.com"])
        email.attach_alternative(html, "text/html")
        email.send()
        print(email.outbox_message.pk)
"""
MARK = "<h6>still here</h6>"
CLICKABLE = "a, area, button, input, summary, mi"
LAST = "the last"


class Hosts:
    """A host for each name; it counts who connects, and answers nothing."""

    def __init__(self, names):
        self.heard, self.urls, self._is_over = Counter(), {}, False
        self._servers = selectors.DefaultSelector()
        for name in names:
            server = socket.create_server(("127.0.0.1", 0))
            self._servers.register(server, selectors.EVENT_READ, name)
            self.urls[name] = f"http://127.0.0.1:{server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._is_over = True
        self._thread.join()
        for key in list(self._servers.get_map().values()):
            key.fileobj.close()

    def _listen(self):
        while not self._is_over:
            for key, _ in self._servers.select(0.1):
                key.fileobj.accept()[0].close()
                self.heard[key.data] += 1


@pytest.fixture(scope="module")
def hosts():
    with Hosts([*LEADING, *LOADING, LAST]) as listening:
        yield listening


@pytest.fixture(scope="module")
def site(tmp_path_factory, hosts):
    """A site without a policy of its own for its pages, as many projects are."""
    folder = tmp_path_factory.mktemp("hostile")
    settings = {"DJANGO_SETTINGS_MODULE": "tests.journeys.settings_without_csp", "DEBUG": "True"}
    mails = {name: with_host(html, hosts.urls[name]) for name, html in {**LEADING, **LOADING}.items()}
    mails[LAST] = f'<img src="{hosts.urls[LAST]}/">'
    (folder / "mails.json").write_text(json.dumps(mails))
    with Site(folder, MAIL_DISPATCHER="none", **settings) as running:
        running.shell('User.objects.create_superuser("boss", password="boss-password")')
        running.keys = dict(zip(mails, running.shell(STORE.format(path=folder / "mails.json")).split(), strict=True))
        yield running


def with_host(html, url):
    mail = html.replace("{url}", url).replace("{rest}", url.partition(":")[2])
    doctype, end, rest = mail.partition(">") if mail.startswith("<!doctype") else ("", "", mail)
    return f"{doctype}{end}{MARK}{rest}"


def url(site, door, name, query=""):
    return message_url(door, site.keys[name]) + query


def led_away(page):
    """Click all that the mail offers, and tell whether a click led anywhere."""
    opened_at, frame = page.url, page.frames[-1]
    for each in frame.locator(CLICKABLE).all():
        if each.is_visible():
            each.click(force=True, no_wait_after=True)
        else:
            each.dispatch_event("click")
    is_there = MARK in frame.content()
    return page.url != opened_at or len(page.context.pages) > 1 or not is_there


def wait_until_all_is_heard(page, site, door, hosts):
    """Load one more picture: what was asked for before it has come by then."""
    page.goto(url(site, door, LAST, "?remote=1"))
    wait_until(lambda: hosts.heard.pop(LAST, 0))


# Both doors show the same frame with the same policy, so each is opened in one way.
@pytest.mark.parametrize(("page", "door"), [("with-javascript", "admin"), ("no-javascript", "mailbox")], indirect=True)
def test_no_mail_is_noticed_at_its_host_and_none_leads_anywhere(page, door, site, hosts):
    hosts.heard.clear()
    leading = []
    for name in [*LEADING, *LOADING]:
        page.goto(url(site, door, name))
        if led_away(page):
            leading.append(name)
    wait_until_all_is_heard(page, site, door, hosts)
    assert (hosts.heard, leading) == ({}, [])


@pytest.mark.parametrize(("page", "door"), [("no-javascript", "admin")], indirect=True)
def test_none_leads_anywhere_whose_pictures_are_shown(page, door, site, hosts):
    hosts.heard.clear()
    leading = []
    for name in LEADING:
        page.goto(url(site, door, name, "?remote=1"))
        if led_away(page):
            leading.append(name)
    wait_until_all_is_heard(page, site, door, hosts)
    assert (hosts.heard, leading) == ({}, [])
