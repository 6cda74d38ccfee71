"""The pages in a real browser: headless Chromium against the running site."""

import re
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from playwright.sync_api import Error, expect, sync_playwright

from tests.conftest import missing
from tests.site import Site

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")

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


def chromium():
    """Return the path of the system's browser; None if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """As `make run` serves it: DEBUG, the console transport, an example administrator."""
    folder = tmp_path_factory.mktemp("site")
    with Site(folder, DEBUG="True", MAIL_TRANSPORT="console") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        except Error:
            missing("Chromium")
        yield launched
        launched.close()


@pytest.fixture(params=["desktop", "phone", "no-javascript"])
def page(request, browser, site):
    """A visitor's page. At the end nothing may have been blocked, missed or broken."""
    options = {
        "desktop": {"color_scheme": "dark"},
        "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
        "no-javascript": {"java_script_enabled": False},
    }[request.param]
    context = browser.new_context(base_url=site.url, **options)
    opened = context.new_page()
    opened.complaints = []
    opened.on("console", lambda message: opened.complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    context.close()
    assert opened.complaints == []


def submit(page, name):
    page.get_by_label("What is your name?").fill(name)
    page.get_by_role("button", name="Submit").click()


def test_a_visitor_is_greeted_and_the_mail_can_be_seen(page, request):
    name = f"Zoë O'Brien {request.node.callspec.id}"
    page.goto("/")
    expect(page).to_have_title("Flasky")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Stranger!")
    submit(page, name)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Hello, {name}!")
    expect(page.get_by_text("Pleased to meet you!")).to_be_visible()
    expect(page.get_by_label("What is your name?")).to_have_value("")
    page.reload()
    expect(page.get_by_text("Pleased to meet you!")).to_be_visible()

    page.get_by_role("main").get_by_role("link", name="mailbox").click()
    page.get_by_role("link", name="[Flasky] New User").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("[Flasky] New User")
    expect(page.locator("#text")).to_contain_text(f"User {name} has joined.")
    expect(page.frame_locator("iframe").locator("body")).to_contain_text(f"User {name} has joined.")
    expect(page.locator("#headers")).to_contain_text("auto-generated")
    page.get_by_role("link", name="Source").click()
    expect(page.locator("body")).to_contain_text("Subject: [Flasky] New User")

    page.goto("/")
    submit(page, name)
    expect(page.get_by_text("Happy to see you again!")).to_be_visible()


def test_a_bad_name_is_answered_at_the_field(page):
    page.goto("/")
    submit(page, "x" * 65)
    field = page.get_by_label("What is your name?")
    expect(page.get_by_text("Please use at most 64 characters; this name has 65.")).to_be_visible()
    expect(field).to_have_value("x" * 65)
    expect(field).to_have_attribute("aria-invalid", "true")
    described_by = field.get_attribute("aria-describedby").split()
    assert any("64 characters" in page.locator(f"#{part}").inner_text() for part in described_by)
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Stranger!")


def test_an_empty_name_is_stopped_by_the_browser(page):
    page.goto("/")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("input:invalid")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/$"))


def test_the_form_works_with_the_keyboard_alone(page):
    page.goto("/")
    page.get_by_label("What is your name?").focus()
    page.keyboard.type("Keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Keyboard!")


def test_no_page_is_wider_than_its_window(page, site):
    page.goto("/")
    submit(page, "W" * 64)
    for path in ("/", "/mailbox/", "/mailbox/1/", "/admin/login/"):
        page.goto(path)
        box = page.locator("html").bounding_box()
        assert box["width"] <= page.viewport_size["width"], path


HOSTILE = """
from django.core.mail import send_mail
html = '''<script>parent.document.title = document.title = "owned"</script>
<img src="{url}/image"><link rel=stylesheet href="{url}/style"><iframe src="{url}/frame"></iframe>
<form action="{url}/form" method=post><button>Pay</button></form><a href="{url}/link" target=_top>link</a>'''
send_mail("Hostile", "text", None, ["a@example.com"], html_message=html)
"""


@pytest.fixture
def elsewhere():
    """Another host's web server; it keeps the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = asked
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_hostile_mail_stays_in_its_box(browser, tmp_path, elsewhere):
    """It runs no script, loads nothing, posts nothing and leads nowhere."""
    with Site(tmp_path, DEBUG="True", MAIL_TRANSPORT="dummy") as site:
        site.shell(HOSTILE.replace("{url}", f"http://127.0.0.1:{elsewhere.server_port}"))
        page = browser.new_context(base_url=site.url).new_page()
        page.goto("/mailbox/1/")
        frame = page.frame_locator("iframe")
        frame.get_by_role("button", name="Pay").click()
        frame.get_by_role("link", name="link").click()
        expect(page).to_have_title("Flasky - Hostile")
        page.get_by_role("link", name="Back to the mailbox").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Mailbox")
        page.context.close()
    assert elsewhere.asked == []


def test_the_other_host_would_have_noticed(elsewhere):
    requests.get(f"http://127.0.0.1:{elsewhere.server_port}/image", timeout=10)
    assert elsewhere.asked == ["/image"]
