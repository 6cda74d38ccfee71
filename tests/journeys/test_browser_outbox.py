"""The outbox in a real browser: its list, its charts, and how it keeps itself current."""

import re
import sys

import pytest
from playwright.sync_api import expect

from tests.browser import PHONE, log_in, opened
from tests.conftest import wait_until
from tests.running_site import Site, Visitor
from tests.sample_outbox import NAME, PASSWORD, SCRIPT, VIEWER

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")

LIST = "/admin/flasky_mail/outboxmessage/"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("outbox"), DEBUG="True", MAIL_DISPATCHER="none") as running:
        running.shell(SCRIPT)
        yield running


@pytest.fixture(params=["desktop", "phone", "no-javascript"])
def page(request, browser, site):
    """A page of somebody who may act. At the end nothing may have been blocked, missed or broken."""
    options = {
        "desktop": {"viewport": {"width": 1280, "height": 900}},
        "phone": PHONE,
        "no-javascript": {"java_script_enabled": False, "color_scheme": "dark"},
    }[request.param]
    with opened(browser, site, **options) as page:
        log_in(page, site, NAME, PASSWORD)
        yield page


@pytest.fixture
def desktop(browser, site):
    with opened(browser, site, viewport={"width": 1280, "height": 900}) as page:
        log_in(page, site, NAME, PASSWORD)
        yield page


def rows(page):
    return page.locator(".rows > li")


def search(page):
    return page.get_by_role("searchbox", name="Search")


def tab(page, name):
    return page.get_by_role("navigation", name="States").get_by_role("link", name=re.compile(rf"^{name} [\d,]+$"))


# Looking


def test_a_tab_shows_one_state_and_is_in_the_url(page):
    page.goto(LIST)
    tab(page, "Failed").click()
    expect(page).to_have_url(re.compile(r"tab=failed"))
    expect(tab(page, "Failed")).to_have_attribute("aria-current", "page")
    expect(tab(page, "Failed")).to_have_text("Failed 10")
    expect(rows(page)).to_have_count(10)
    expect(rows(page).get_by_text("User unknown").first).to_be_visible()


def test_a_search_finds_a_recipient_and_its_message(page):
    page.goto(LIST)
    search(page).fill("bob7@example.net")
    page.get_by_role("button", name="Search").click()
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("link").click()
    expect(page.get_by_role("main")).to_contain_text("bob7@example.net")
    page.go_back()
    expect(search(page)).to_have_value("bob7@example.net")
    page.get_by_role("link", name="Clear filters").first.click()
    expect(rows(page)).to_have_count(50)


def test_filters_narrow_the_list_together(page):
    page.goto(f"{LIST}?tab=queued")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Source").select_option("sendtestemail")
    page.get_by_label("Stored in").select_option("the last 24 hours")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name="Source: manage.py sendtestemail")).to_be_visible()
    expect(page.get_by_text("1 to 2 of 2 that match")).to_be_visible()
    expect(rows(page)).to_have_count(2)
    expect(tab(page, "Queued")).to_have_attribute("aria-current", "page")


def test_dates_lead_from_the_month_to_the_hour(page):
    page.goto(LIST)
    dates = page.get_by_role("navigation", name="Dates")
    page.get_by_text("Filters", exact=True).click()
    dates.get_by_role("link").first.click()
    page.get_by_text("Filters (1)").click()
    expect(dates.get_by_role("link", name="All the time")).to_be_visible()
    dates.get_by_role("link", name=re.compile(r"^\d\d:00$")).first.click()
    expect(page).to_have_url(re.compile(r"time=\d{4}-\d\d-\d\dT\d\d$"))
    expect(rows(page)).not_to_have_count(0)  # waits for the page


def test_pages_lead_to_older_messages_and_back(page):
    page.goto(LIST)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_text(re.compile(r"^\s*51 to \d+ of \d+ that match"))).to_be_visible()
    page.get_by_role("link", name="Newer").click()
    expect(rows(page)).to_have_count(50)


def test_the_charts_have_their_values_behind_them(page):
    page.goto(LIST)
    page.get_by_role("link", name="Charts").click()
    for title in ("Sent and failed in the last 24 hours", "Sent and failed in the last 30 days", "What waits"):
        chart = page.locator("figure").filter(has_text=title)
        picture = chart.get_by_role("img", name=title).or_(chart.get_by_role("group", name=title))  # a group has links
        expect(picture.first).to_be_visible()
        chart.get_by_text("As a table").click()
        expect(chart.get_by_role("table")).to_be_visible()
    expect(page.get_by_role("rowheader", name="example.org")).to_be_visible()


@pytest.mark.parametrize("path", ["/admin/", LIST, f"{LIST}charts/"])
def test_the_strip_says_how_the_outbox_is(page, path):
    page.goto(path)
    strip = page.get_by_role("region", name="The outbox at a glance")
    expect(strip.get_by_text("oldest waits")).to_be_visible()
    strip.locator("summary").click()
    for term in ("Oldest waiting message", "Sent per minute", "Failed in 24 h", "Relay", "Who delivers"):
        expect(strip.get_by_role("term").filter(has_text=term)).to_be_visible()


@pytest.mark.parametrize("path", ["/admin/", LIST, f"{LIST}?tab=held", f"{LIST}charts/", "/mailbox/"])
def test_no_page_of_the_outbox_is_wider_than_its_window(page, path):
    page.expected = ["images.example"]  # which the newest mail, open in the mailbox, may not load
    page.goto(path)
    box = page.locator("html").bounding_box()
    assert box["width"] <= page.viewport_size["width"]


NARROW = {
    "200 %": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},  # of 1280
    "Chinese": {"viewport": {"width": 320, "height": 700}, "locale": "zh-CN"},
}


@pytest.mark.parametrize("options", NARROW.values(), ids=NARROW)
def test_zoomed_and_in_chinese_on_a_small_phone_all_is_there_and_nothing_is_wider(browser, site, options):
    with opened(browser, site, **options) as page:
        page.expected = ["images.example"]  # which the newest mail may not load
        log_in(page, site, NAME, PASSWORD)
        for path in (LIST, f"{LIST}?tab=failed", f"{LIST}charts/", f"{LIST}5/change/", "/mailbox/", "/"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= options["viewport"]["width"], path
        page.goto(LIST)
        expect(rows(page).first.get_by_role("link")).to_be_visible()
        expect(page.locator("#filter-q")).to_be_visible()


def test_the_list_works_with_the_keyboard_alone(desktop):
    desktop.goto(LIST)
    search(desktop).focus()
    desktop.keyboard.type("bob9@example.net")
    desktop.keyboard.press("Enter")
    expect(rows(desktop)).to_have_count(1)
    rows(desktop).get_by_role("checkbox").focus()
    desktop.keyboard.press("Space")
    expect(rows(desktop).get_by_role("checkbox")).to_be_checked()


def test_who_may_only_look_sees_the_list_and_no_buttons(browser, site):
    with opened(browser, site) as page:
        log_in(page, site, VIEWER, PASSWORD)
        page.goto(LIST)
        expect(rows(page)).to_have_count(50)
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.locator(".rows").get_by_role("checkbox")).to_have_count(0)


def test_a_user_and_the_mails_about_them_lead_to_each_other(desktop):
    desktop.goto("/admin/accounts/user/1/change/")
    desktop.get_by_role("link", name="Show in the outbox").click()
    expect(desktop.get_by_text(f"Only mails about {NAME}.")).to_be_visible()
    rows(desktop).get_by_role("link").first.click()
    desktop.get_by_role("main").get_by_role("link", name=NAME).click()
    expect(desktop).to_have_url(re.compile(r"/accounts/user/1/change/"))


def test_the_mailbox_leads_to_the_mail_of_the_last_form_post(page, request):
    page.goto("/")
    page.get_by_label("What is your name?").fill(f"Poster {request.node.callspec.id}")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("navigation", name="Site").get_by_role("link", name="Mailbox").click()
    page.get_by_role("link", name="Jump to the mail that your last form post caused").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"\[Flasky\] New User"))
    expect(page.frame_locator("iframe").locator("body")).to_contain_text(f"Poster {request.node.callspec.id}")


# Keeping itself current


@pytest.fixture
def refreshing(desktop):
    """A list that keeps itself current; `clock` makes its time pass."""
    desktop.clock.install()
    desktop.goto(LIST)
    desktop.get_by_role("link", name="Auto-refresh", exact=True).click()
    expect(desktop.get_by_role("status").filter(has_text="Refreshes every 5 s.")).to_be_visible()
    return desktop


def store(site, name):
    """Let a visitor's new name store a message."""
    assert Visitor(site).submit(name).status_code == 200


def let_it_look(page):
    with page.expect_response(lambda response: "refresh=1" in response.url):
        page.clock.run_for(5000)


def first_row(page):
    return rows(page).first.get_attribute("data-key")


def test_a_new_message_appears_by_itself(refreshing, site):
    before = first_row(refreshing)
    store(site, "Live one")
    let_it_look(refreshing)
    wait_until(lambda: first_row(refreshing) != before)
    expect(refreshing.get_by_role("status").filter(has_text="Refreshes every 5 s.")).to_be_visible()


def test_what_is_under_the_pointer_does_not_move(refreshing, site):
    before = first_row(refreshing)
    link = rows(refreshing).nth(3).get_by_role("link")
    link.hover()
    top = link.bounding_box()["y"]
    store(site, "Live two")
    let_it_look(refreshing)
    expect(refreshing.get_by_text("Something new waits until the pointer is elsewhere.")).to_be_visible()
    assert (first_row(refreshing), link.bounding_box()["y"]) == (before, top)
    refreshing.mouse.move(1, 1)
    let_it_look(refreshing)
    wait_until(lambda: first_row(refreshing) != before)


SIGN = "from flasky.mail.models import Process; Process.objects.heartbeat('web-1 4711', 4)"


def test_a_banner_that_goes_does_not_move_what_is_under_the_pointer(refreshing, site):
    site.shell(f"{SIGN}; Process.objects.all().delete()")
    let_it_look(refreshing)
    banner = refreshing.get_by_text("Nobody delivers")
    expect(banner).to_be_visible()
    link = rows(refreshing).first.get_by_role("link")
    link.hover()
    top = link.bounding_box()["y"]
    site.shell(SIGN)
    let_it_look(refreshing)
    expect(refreshing.get_by_text("Something new waits")).to_be_visible()
    assert link.bounding_box()["y"] == top
    refreshing.mouse.move(1, 1)
    let_it_look(refreshing)
    expect(banner).to_have_count(0)


def test_a_banner_that_comes_does_not_move_what_is_under_the_pointer(refreshing, site):
    site.shell(SIGN)
    let_it_look(refreshing)
    expect(refreshing.get_by_text("Nobody delivers")).to_have_count(0)
    link = rows(refreshing).first.get_by_role("link")
    link.hover()
    top = link.bounding_box()["y"]
    site.shell(f"{SIGN}; Process.objects.all().delete()")
    let_it_look(refreshing)
    expect(refreshing.get_by_text("Nobody delivers")).to_have_count(1)
    assert link.bounding_box()["y"] == pytest.approx(top, abs=1)


def test_what_has_the_focus_does_not_move(refreshing, site):
    before = first_row(refreshing)
    box = rows(refreshing).nth(2).get_by_role("checkbox")
    box.focus()
    store(site, "Live three")
    let_it_look(refreshing)
    expect(refreshing.get_by_text("Something new waits")).to_be_visible()
    expect(box).to_be_focused()
    assert first_row(refreshing) == before


def test_a_ticked_box_stays_ticked(refreshing, site):
    before = first_row(refreshing)
    box = rows(refreshing).nth(1).get_by_role("checkbox")
    key = box.get_attribute("value")
    box.check()
    box.blur()
    refreshing.mouse.move(1, 1)
    store(site, "Live four")
    let_it_look(refreshing)
    wait_until(lambda: first_row(refreshing) != before)
    expect(refreshing.locator(f'input[name="message"][value="{key}"]')).to_be_checked()


def test_a_state_changes_in_place_while_the_pointer_is_on_another_row(refreshing, site):
    before = first_row(refreshing)
    store(site, "Live nine")  # another test wants the state of what was there
    let_it_look(refreshing)
    wait_until(lambda: first_row(refreshing) != before)
    key = first_row(refreshing)
    rows(refreshing).nth(4).get_by_role("link").hover()
    site.shell(
        f"from flasky.mail.models import OutboxMessage; OutboxMessage.objects.filter(pk={key}).update(state='held')"
    )
    let_it_look(refreshing)
    expect(refreshing.locator(f'li[data-key="{key}"] .badge').first).to_have_text("held")


def test_who_was_logged_out_is_told_that_refreshing_has_stopped(refreshing):
    refreshing.context.clear_cookies()
    let_it_look(refreshing)
    expect(refreshing.get_by_text("Refreshing has stopped")).to_be_visible()


def test_a_site_that_is_away_is_asked_again(refreshing, site):
    before = first_row(refreshing)
    store(site, "Live five")
    refreshing.route("**/outboxmessage/?*", lambda route: route.abort(), times=1)
    refreshing.clock.run_for(5000)
    expect(refreshing.get_by_text("The site does not answer at the moment")).to_be_visible()
    refreshing.complaints.clear()  # the browser's own
    refreshing.clock.run_for(5000)
    let_it_look(refreshing)
    wait_until(lambda: first_row(refreshing) != before)


def test_an_unfolded_table_stays_unfolded(desktop, site):
    desktop.clock.install()
    desktop.goto(f"{LIST}charts/?refresh=1")
    desktop.get_by_text("As a table").last.click()
    desktop.mouse.move(1, 1)
    desktop.evaluate("document.activeElement.blur()")
    before = desktop.get_by_role("rowheader", name="Total").locator("..").inner_text()
    store(site, "Live six")
    let_it_look(desktop)
    wait_until(lambda: desktop.get_by_role("rowheader", name="Total").locator("..").inner_text() != before)


def test_the_page_of_a_message_keeps_itself_current_but_for_its_frame(desktop, site):
    desktop.expected = ["sandboxed"]  # the test's clock may not run in the mail's frame
    store(site, "Live eight")
    desktop.clock.install()
    desktop.goto(LIST)
    key = first_row(desktop)
    desktop.goto(f"{LIST}{key}/change/?refresh=1")
    expect(desktop.get_by_role("button", name="Hold")).to_be_visible()
    desktop.evaluate("document.querySelector('iframe').dataset.mark = 'the same'")
    site.shell(f"OutboxMessage.objects.filter(pk={key}).hold('Vera')")
    let_it_look(desktop)
    expect(desktop.get_by_text("It was put on hold by Vera")).to_be_visible()
    expect(desktop.get_by_role("button", name="Release")).to_be_visible()
    expect(desktop.locator("iframe[data-mark]")).to_have_count(1)
    desktop.get_by_role("button", name="Release").click()
    desktop.get_by_role("button", name="Release 1 message").click()
    expect(desktop.get_by_text("1 released.")).to_be_visible()


def test_without_javascript_the_whole_page_is_loaded_again(browser, site):
    with opened(browser, site, java_script_enabled=False) as page:
        log_in(page, site, NAME, PASSWORD)
        page.goto(f"{LIST}?refresh=1")
        before = first_row(page)
        store(site, "Live seven")
        wait_until(lambda: first_row(page) != before)


def test_a_page_refreshes_itself_only_if_the_viewer_wants(desktop):
    desktop.goto(f"{LIST}?refresh=1")
    assert "refresh.js" in desktop.content()
    desktop.get_by_role("link", name="Stop auto-refresh").click()
    expect(desktop.get_by_role("link", name="Auto-refresh", exact=True)).to_be_visible()
    assert "refresh.js" not in desktop.content()
