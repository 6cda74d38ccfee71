"""Make the pictures of the README: `python docs/screenshots.py`, with Chromium and the packages of the tests."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from playwright.sync_api import sync_playwright

from tests.browser import FLAGS, chromium, log_in, submit
from tests.running_site import Site
from tests.sample_outbox import NAME, PASSWORD, SCRIPT
from tests.smtp_server import SmtpServer

HERE = Path(__file__).parent
OUTBOX = "/admin/flasky_mail/outboxmessage/"


def main():
    with (
        tempfile.TemporaryDirectory() as folder,
        SmtpServer() as relay,
        sync_playwright() as playwright,
        Site(Path(folder), relay, DEBUG="True", MAIL_DISPATCHER="none") as site,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(base_url=site.url, viewport={"width": 900, "height": 560})
        page.goto("/")
        submit(page, "Grace Hopper")
        page.screenshot(path=HERE / "form.png")

        site.shell(SCRIPT)
        page.set_viewport_size({"width": 1280, "height": 900})
        log_in(page, site, NAME, PASSWORD)
        page.goto(OUTBOX)
        page.screenshot(path=HERE / "outbox.png")
        page.goto(f"{OUTBOX}charts/")
        page.screenshot(path=HERE / "charts.png", full_page=True)
        page.goto(f"{OUTBOX}?tab=later")
        page.locator(".rows").get_by_role("link").first.click()
        page.frame_locator("iframe").get_by_text("has joined").wait_for()
        page.screenshot(path=HERE / "message.png")
        page.goto("/mailbox/?q=kind:new_user+is:sent")
        page.frame_locator("iframe").get_by_text("has joined").wait_for()
        page.set_viewport_size({"width": 1280, "height": 720})
        page.screenshot(path=HERE / "mailbox.png")
        browser.close()


if __name__ == "__main__":
    main()
