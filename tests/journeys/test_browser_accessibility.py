"""Every page, looked over by axe-core: no fault that it calls serious or critical."""

import sys

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser import log_in, opened
from tests.running_site import Site
from tests.sample_outbox import NAME, PASSWORD, SCRIPT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")

SITE = ("/", "/no-such-page", "/admin/login/")
MAILBOX = (
    "/mailbox/",
    "/mailbox/?tab=held&time=24h&q=nothing",
    "/mailbox/templates/",
    "/mailbox/templates/mail/new_user/",
    "/mailbox/{}/",
)
ADMIN = (
    "/admin/",
    "/admin/flasky_mail/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/accounts/user/1/change/",
    "/admin/accounts/user/1/password/",
    "/admin/accounts/user/1/history/",
    "/admin/accounts/user/1/delete/",
    "/admin/auth/group/add/",
    "/admin/password_change/",
)
OUTBOX = (
    "/admin/flasky_mail/outboxmessage/",
    "/admin/flasky_mail/outboxmessage/?refresh=1",
    "/admin/flasky_mail/outboxmessage/?time=7d&q=ann1@example.com",
    "/admin/flasky_mail/outboxmessage/charts/",
)
MESSAGE = tuple(
    f"/admin/flasky_mail/outboxmessage/{{}}/change/?tab={tab}"
    for tab in ("html", "text", "headers", "source", "attachments", "history")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("outbox"), DEBUG="True", MAIL_DISPATCHER="none") as running:
        running.message = running.shell(SCRIPT)
        yield running


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, browser, site):
    sizes = {"light": {"width": 1280, "height": 900}, "dark": {"width": 360, "height": 740}}
    with opened(browser, site, color_scheme=request.param, viewport=sizes[request.param]) as page:
        log_in(page, site, NAME, PASSWORD)
        page.message = site.message
        yield page
        page.complaints.clear()  # of a page that is not there, and of a picture that a mail may not load


def faults(page):
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("path", SITE + MAILBOX + ADMIN + OUTBOX + MESSAGE)
def test_a_page_has_no_serious_fault(page, path):
    page.goto(path.format(page.message))
    assert faults(page) == []


def test_the_page_that_asks_before_it_acts_has_no_serious_fault(page):
    page.goto("/admin/flasky_mail/outboxmessage/")
    page.locator(".rows").get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Send again as new").click()
    expect(page.get_by_role("button", name="Send 1 message again")).to_be_visible()
    assert faults(page) == []


def test_a_serious_fault_would_be_found(page):
    page.goto("/")
    page.evaluate("document.querySelector('label').remove()")
    assert any(fault.startswith("label: ") for fault in faults(page))
