"""Headless Chromium, and the host from which a mail would load something."""

import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# No sandbox: it does not work for root, as in containers. The rest keeps the browser from calling home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


def chromium():
    """Return the path of the system's browser; None if there is none. The headless one takes a third of the CPU."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def opened(browser, site, **options):
    """A page of a visitor's own. At the end nothing may have been blocked, missed or broken."""
    context = browser.new_context(base_url=site.url, **options)
    page = context.new_page()
    page.complaints, page.expected = [], []  # parts of what may be complained about
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    context.close()
    assert [what for what in page.complaints if not any(part in what for part in page.expected)] == []


_logged_in = {}  # cookies of those who are, by site and name


def log_in(page, site, name, password):
    """Log in, once by typing and later with the cookie: a page takes longer than a test."""
    if (site.url, name) not in _logged_in:
        page.goto("/admin/login/")
        page.locator("#id_username").fill(name)
        page.locator("#id_password").fill(password)
        page.locator("#login-form [type=submit]").click()  # in any language
        _logged_in[site.url, name] = page.context.cookies()
    page.context.add_cookies(_logged_in[site.url, name])


def message_url(door, key):
    return f"/mailbox/{key}/" if door == "mailbox" else f"/admin/flasky_mail/outboxmessage/{key}/change/"


def submit(page, name):
    page.get_by_label("What is your name?").fill(name)
    page.get_by_role("button", name="Submit").click()


@contextmanager
def another_host():
    """A web server that keeps the paths that were asked for, and counts the connections."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    class Server(ThreadingHTTPServer):
        connections = 0

        def verify_request(self, request, client_address):
            self.connections += 1
            return True

    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = asked
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
