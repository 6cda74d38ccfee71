"""The page of a message in a real browser: a hostile mail stays in its box, and what can be chosen is shown."""

import sys

import pytest
from playwright.sync_api import expect

from tests.browser import FLAGS, chromium, log_in, message_url, opened
from tests.running_site import Site

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")

STORE = """
from django.core.mail import EmailMultiAlternatives
email = EmailMultiAlternatives("{subject}", "The text " + "w" * 200, None, ["a@example.com"] * 2)
email.attach_alternative('''{html}''', "text/html")
email.attach("report.pdf", b"%PDF", "application/pdf")
email.send()
print(email.outbox_message.pk)
"""

HOSTILE = """<!doctype html><html><head>
<meta http-equiv=refresh content="0;url={url}/refresh"><base href="{url}/base/" target="_self">
<link rel=preconnect href="{url}"><link rel=dns-prefetch href="{url}"><link rel=prefetch href="{url}/prefetch">
<link rel=stylesheet href="{url}/style"><link rel=preload as=image href="{url}/preload">
<link rel=icon href="{url}/icon">
<style>@import "{url}/import"; @font-face { font-family: f; src: url("{url}/font") }
body { font-family: f; background: url("{url}/background") }</style>
<script>document.title = "owned"; parent.document.title = "owned"; top.location = "{url}/top";
fetch("{url}/fetch")</script>
<script src="{url}/script"></script><script type=speculationrules>{"prefetch": [{"urls": ["{url}/rules"]}]}</script>
</head><body onload="location='{url}/onload'">
<img src="{url}/image" onerror="fetch('{url}/onerror')"><img srcset="{url}/srcset 1x">
<video poster="{url}/poster"></video>
<video autoplay src="{url}/video"></video><object data="{url}/object"></object><embed src="{url}/embed">
<svg width=9 height=9 onload="fetch('{url}/svg')"><image width=9 height=9 href="{url}/svg-image"/>
<use href="{url}/use#a"/></svg><iframe src="{url}/frame"></iframe>
<iframe srcdoc='&lt;link rel=preconnect href="{url}"&gt;&lt;img src="{url}/srcdoc"&gt;
&lt;script&gt;top.document.title="owned"&lt;/script&gt;'></iframe>
<iframe src="data:text/html,<img src={url}/data>"></iframe>
<form action="{url}/form" method=post><button>Pay</button></form>
<a href="{url}/a">plain</a> <a href="{url}/top" target=_top>upwards</a> <a href="{url}/b" target=_blank>window</a>
<a href="{url}/ping" ping="{url}/pinged">ping</a> <a href="javascript:parent.document.title='owned'">script</a>
<a href="{url}/self" target=_self>itself</a></body></html>"""

STYLED = """<!doctype html><style>:root { color-scheme: light dark }
@media (prefers-color-scheme: dark) { p { color: rgb(1, 2, 3) } }
@media (max-width: 400px) { p { text-align: right } }</style><p>Hello</p>"""

LOADED = {"/style", "/import", "/font", "/background", "/image", "/srcset", "/poster"}
HINTED = {"/prefetch", "/preload", "/icon"}


def stored(site, subject, html):
    return site.shell(STORE.format(subject=subject, html=html)).splitlines()[-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("message"), DEBUG="True", MAIL_DISPATCHER="none") as running:
        running.shell('User.objects.create_superuser("boss", password="boss-password")')
        running.styled = stored(running, "Styled", STYLED)
        yield running


@pytest.fixture
def hostile(site, elsewhere):
    return stored(site, "Hostile", HOSTILE.replace("{url}", f"http://127.0.0.1:{elsewhere.server_port}"))


def click_everything(page):
    """Click all that the mail offers."""
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Pay").click()
    for name in ("plain", "upwards", "window", "ping", "script", "itself"):
        frame.get_by_role("link", name=name).click()
        page.wait_for_load_state("networkidle")


def check_nothing_happened(page, opened_at):
    assert page.url == opened_at
    assert "Hostile" in page.title()
    assert "owned" not in page.title()
    assert len(page.context.pages) == 1


def test_a_hostile_mail_stays_in_its_box(page, door, hostile, elsewhere):
    """It runs no script, loads nothing, posts nothing, leads nowhere, and its host hears nothing of it."""
    page.goto(message_url(door, hostile), wait_until="networkidle")
    assert elsewhere.connections == 0
    opened_at = page.url
    click_everything(page)
    check_nothing_happened(page, opened_at)
    assert elsewhere.asked == []


def test_what_the_viewer_asks_for_is_loaded_and_nothing_else_happens(page, door, hostile, elsewhere):
    page.goto(message_url(door, hostile), wait_until="networkidle")
    assert elsewhere.asked == []
    page.get_by_role("link", name="Load it").click()
    page.wait_for_load_state("networkidle")
    opened_at = page.url
    click_everything(page)
    check_nothing_happened(page, opened_at)
    assert set(elsewhere.asked) - HINTED == LOADED


def test_the_width_of_a_phone_can_be_seen(page, door, site):
    page.goto(message_url(door, site.styled))
    text = page.frame_locator("iframe").get_by_text("Hello")
    expect(text).to_have_css("text-align", "start")
    page.get_by_role("link", name="Phone").click()
    expect(text).to_have_css("text-align", "right")
    assert page.locator("iframe").bounding_box()["width"] == 375
    page.get_by_role("link", name="Desktop").click()
    expect(text).to_have_css("text-align", "start")


@pytest.fixture(params=["light", "dark"])
def page_on_a_system(request, browser, site, door):
    """A page on a system that prefers these colours; emulated ones would hold in the frame, whatever it is told."""
    flag = f"--blink-settings=preferredColorScheme={int(request.param == 'light')}"
    launched = browser.browser_type.launch(executable_path=chromium(), args=[*FLAGS, flag])
    opened = launched.new_page(base_url=site.url, color_scheme="null")
    if door == "admin":
        log_in(opened, site, "boss", "boss-password")
    yield opened, request.param
    launched.close()


def test_dark_and_light_can_be_seen_whatever_the_system_prefers(page_on_a_system, door, site):
    page, system = page_on_a_system
    colours = {"dark": "rgb(1, 2, 3)", "light": "rgb(0, 0, 0)"}
    page.goto(message_url(door, site.styled))
    text = page.frame_locator("iframe").get_by_text("Hello")
    expect(text).to_have_css("color", colours[system])
    page.get_by_role("link", name="Dark", exact=True).click()
    expect(text).to_have_css("color", colours["dark"])
    page.get_by_role("link", name="Light", exact=True).click()
    expect(text).to_have_css("color", colours["light"])
    page.get_by_role("link", name="System").click()
    expect(text).to_have_css("color", colours[system])


def test_the_tabs_work_with_the_keyboard_alone(page, door, site):
    page.goto(message_url(door, site.styled))
    tabs = page.get_by_role("navigation", name="Parts of the message")
    for name in ("Text", "Headers", "Source", "Attachments (1)"):
        page.wait_for_load_state()  # a page that is still coming takes the focus away
        tabs.locator("[aria-current=page]").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(tabs.locator("[aria-current=page]")).to_have_text(name)
    expect(page.get_by_text("Stored", exact=True).last).to_be_visible()


def test_the_mail_and_its_attachments_can_be_saved(page, door, site):
    page.goto(f"{message_url(door, site.styled)}?tab=attachments")
    for link, name in (("Download .eml", f"message-{site.styled}.eml"), ("report.pdf", "report.pdf")):
        with page.expect_download() as started:
            page.get_by_role("link", name=link).click()
        assert started.value.suggested_filename == name


@pytest.mark.parametrize("tab", ["html", "html&width=phone", "text", "headers", "source", "attachments", "history"])
def test_no_tab_is_wider_than_a_phone(page, door, site, tab):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{message_url(door, site.styled)}?tab={tab}")
    assert page.locator("#tabs").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_j_and_k_lead_through_the_mailbox(browser, site):
    stored(site, "Newest", STYLED)
    with opened(browser, site, viewport={"width": 1280, "height": 800}) as page:
        page.goto("/mailbox/")
        subject = page.locator(".mailbox-open .subject, .mailbox-open h1")
        expect(subject).to_have_text("Newest")
        expect(page.locator(".mailbox-list")).to_be_visible()
        edges = [page.locator(each).bounding_box()["x"] for each in (".navbar .brand", "main h1")]
        assert edges[0] == edges[1]  # the brand stands above the content
        page.keyboard.press("j")
        expect(subject).not_to_have_text("Newest")
        page.wait_for_load_state()
        page.keyboard.press("k")
        expect(subject).to_have_text("Newest")
        page.wait_for_load_state()
        page.get_by_role("searchbox").focus()
        page.keyboard.press("j")
        expect(page.get_by_role("searchbox")).to_have_value("j")


def test_keys_that_come_quickly_add_up_and_the_ends_of_the_list_are_ends(browser, site):
    for subject in ("First", "Second", "Third"):
        stored(site, subject, STYLED)
    with opened(browser, site, viewport={"width": 1280, "height": 800}) as page:
        page.goto("/mailbox/")
        subject = page.locator(".mailbox-open .subject, .mailbox-open h1")
        press_at_once(page, "jj")
        expect(subject).to_have_text("First")
        page.wait_for_load_state()
        press_at_once(page, "kkk")
        expect(subject).to_have_text("Third")


def press_at_once(page, keys):
    page.evaluate(
        "keys => [...keys].forEach(key => document.body.dispatchEvent("
        "new KeyboardEvent('keydown', { key, bubbles: true })))",
        keys,
    )
