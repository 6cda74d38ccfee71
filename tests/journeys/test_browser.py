"""The pages in a real browser: headless Chromium against the running site."""

import re
import sys
from contextlib import contextmanager

import pytest
import requests
from playwright.sync_api import expect

from tests.browser import PHONE, opened, submit
from tests.conftest import wait_until
from tests.running_site import Site
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """As `make run` serves it: DEBUG, the console transport, an example administrator."""
    folder = tmp_path_factory.mktemp("site")
    with Site(folder, DEBUG="True", MAIL_TRANSPORT="console") as running:
        yield running


@pytest.fixture(params=["desktop", "phone", "no-javascript"])
def page(request, browser, site):
    """A visitor's page. At the end nothing may have been blocked, missed or broken."""
    options = {
        "desktop": {"color_scheme": "dark"},
        "phone": PHONE,
        "no-javascript": {"java_script_enabled": False},
    }[request.param]
    with opened(browser, site, **options) as page:
        yield page


@pytest.mark.main_road
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
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"\[Flasky\] New User: "))
    expect(page.frame_locator("iframe").locator("body")).to_contain_text(f"User {name} has joined.")
    for tab, shown in (("Text", name), ("Headers", "auto-generated"), ("Source", "Subject: ")):
        page.get_by_role("link", name=tab).click()
        expect(page.get_by_role("article")).to_contain_text(shown)

    page.goto("/")
    submit(page, name)
    expect(page.get_by_text("Happy to see you again!")).to_be_visible()
    expect(page.get_by_role("status")).to_have_count(0)


ON_ITS_WAY = "The administrators’ notification is on its way."
HANDED_OVER = "The administrators’ notification has been handed over to the mail server."


@pytest.fixture(scope="module")
def slow_site(tmp_path_factory):
    """A site whose relay answers once its gate is open."""
    with SmtpServer() as relay, Site(tmp_path_factory.mktemp("slow"), relay) as running:
        running.relay = relay
        yield running
        relay.gate.set()


@contextmanager
def visitor(browser, site, name, **options):
    """A visitor who has typed a new name, while the relay keeps its answer to itself."""
    site.relay.gate.clear()
    context = browser.new_context(base_url=site.url, **options)
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request) if "/notification/" in request.url else None)
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.clock.install()
    page.goto("/")
    submit(page, name)
    expect(page.get_by_role("status")).to_have_text(ON_ITS_WAY)
    yield page
    context.close()
    assert page.complaints == []


def let_it_ask(page, times=1):
    """Let the page's time pass until it has asked that often."""
    before = len(page.asked)
    wait_until(lambda: len(page.asked) >= before + times or page.clock.run_for(1000))


def let_time_pass(page):
    for _ in range(20):
        page.clock.run_for(30_000)


def test_the_line_becomes_current_by_itself(browser, slow_site):
    with visitor(browser, slow_site, "Ann") as page:
        page.get_by_label("What is your name?").fill("half a na")
        let_it_ask(page)
        expect(page.get_by_role("status")).to_have_text(ON_ITS_WAY)
        slow_site.relay.gate.set()
        shown = page.get_by_role("status")
        wait_until(lambda: shown.inner_text() == HANDED_OVER or page.clock.run_for(1000))
        expect(page.get_by_label("What is your name?")).to_have_value("half a na")  # nothing was loaded anew
        asked = len(page.asked)
        let_time_pass(page)
        assert len(page.asked) == asked


def test_without_javascript_the_line_is_current_at_the_next_load(browser, slow_site):
    with visitor(browser, slow_site, "Bob", java_script_enabled=False) as page:
        slow_site.relay.gate.set()
        shown = page.get_by_role("status")
        assert shown.inner_text() == ON_ITS_WAY
        wait_until(lambda: page.reload() and shown.inner_text() == HANDED_OVER)
        assert page.asked == []


def test_a_hidden_page_does_not_ask_until_it_is_seen_again(browser, slow_site):
    hide = "hidden => Object.defineProperty(document, 'hidden', {value: hidden, configurable: true})"
    with visitor(browser, slow_site, "Cem") as page:
        page.evaluate(hide, True)
        let_time_pass(page)
        assert page.asked == []
        page.evaluate(hide, False)
        with page.expect_request("**/notification/"):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        let_it_ask(page)


def test_the_page_asks_ever_less_often_and_at_last_no_more(browser, slow_site):
    with visitor(browser, slow_site, "Dora") as page:
        let_it_ask(page, 16)
        let_time_pass(page)
        assert len(page.asked) == 16
        expect(page.get_by_role("status")).to_have_text(ON_ITS_WAY)


def test_a_site_that_is_away_for_a_moment_is_asked_again(browser, slow_site):
    with visitor(browser, slow_site, "Eve") as page:
        page.route("**/notification/", lambda route: route.fulfill(status=503, body="Away"), times=1)
        let_it_ask(page, 2)
        expect(page.get_by_role("status")).to_have_text(ON_ITS_WAY)
        assert "503" in page.complaints.pop()  # the browser's own


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
    requests.get(f"http://127.0.0.1:{elsewhere.server_port}/image", timeout=60)
    assert (elsewhere.asked, elsewhere.connections) == (["/image"], 1)
