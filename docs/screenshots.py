"""Make the pictures of the README: `python docs/screenshots.py`, with Chromium and the packages of the tests."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from playwright.sync_api import sync_playwright

from tests.site import Site
from tests.smtp_server import SmtpServer
from tests.test_browser import FLAGS, chromium, submit

HERE = Path(__file__).parent
WINDOW = {"width": 900, "height": 560}


def main():
    with (
        tempfile.TemporaryDirectory() as folder,
        SmtpServer() as relay,
        sync_playwright() as playwright,
        Site(Path(folder), relay, DEBUG="True") as site,
    ):
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(base_url=site.url, viewport=WINDOW)
        for name in ("Zoë O'Brien", "山田 花子", "Grace Hopper"):
            page.goto("/")
            submit(page, name)
        page.screenshot(path=HERE / "form.png")
        relay.wait_for(3)
        page.set_viewport_size({"width": 900, "height": 1000})
        page.goto("/mailbox/3/")
        page.screenshot(path=HERE / "mailbox.png")
        browser.close()


if __name__ == "__main__":
    main()
