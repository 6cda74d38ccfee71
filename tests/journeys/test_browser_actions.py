"""Acting on messages in a real browser: with and without JavaScript, on a desktop and on a phone."""

import sys
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.browser import PHONE, log_in, opened
from tests.running_site import Site

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gunicorn does not run on Windows")

WAYS = {
    "desktop": {},
    "desktop-without-javascript": {"java_script_enabled": False},
    "phone": PHONE | {"color_scheme": "dark"},
    "phone-without-javascript": PHONE | {"java_script_enabled": False},
}

PEOPLE = """
from django.contrib.auth.models import Permission
from accounts.models import User
for name, permission in (("ann", "change_outboxmessage"), ("vera", "view_outboxmessage")):
    user = User.objects.create_user(name, f"{name}@example.com", "a-long-password", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=[permission, "open_outboxmessage"]))
"""
MAILS = """
from flasky.mail.models import OutboxMessage
from django.core.mail import send_mail
OutboxMessage.objects.all().delete()
for number in range({count}):
    send_mail("{{}} {{}}".format("{subject}", number), "Hello", None, ["b@example.com"])
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site on which nobody delivers."""
    with Site(tmp_path_factory.mktemp("site"), MAIL_DISPATCHER="none", MAIL_TRANSPORT="dummy") as running:
        running.shell(PEOPLE)
        yield running


@contextmanager
def logged_in(browser, site, name, **options):
    """The list of messages, as this person has it after logging in."""
    with opened(browser, site, **options) as page:
        log_in(page, site, name, "a-long-password")
        page.goto("/admin/flasky_mail/outboxmessage/")
        yield page


@pytest.fixture(params=WAYS)
def page(request, browser, site):
    with logged_in(browser, site, "ann", **WAYS[request.param]) as page:
        yield page


def store(site, count, subject="Mail"):
    site.shell(MAILS.format(count=count, subject=subject))


def row(page, subject):
    return page.locator("li", has=page.get_by_role("link", name=subject, exact=True))


def question(page):
    return page.get_by_role("heading", level=1)


def check_width(page):
    assert page.locator("html").bounding_box()["width"] <= page.viewport_size["width"]


def test_two_ticked_messages_are_cancelled_after_a_question(page, site):
    store(site, 3)
    page.reload()
    row(page, "Mail 0").get_by_role("checkbox").check()
    row(page, "Mail 2").get_by_role("checkbox").check()
    page.get_by_role("button", name="Cancel").click()
    expect(question(page)).to_have_text("Cancel 2 messages?")
    expect(page.get_by_text("Mail 0")).to_be_visible()
    expect(page.get_by_text("Mail 1")).to_have_count(0)
    check_width(page)

    page.get_by_role("button", name="Cancel 2 messages").click()
    expect(page.get_by_text("2 cancelled.")).to_be_visible()
    for subject, state in (("Mail 0", "cancelled"), ("Mail 1", "queued"), ("Mail 2", "cancelled")):
        expect(row(page, subject).locator(".badge")).to_have_text(state)

    page.get_by_role("link", name="Mail 0").click()
    expect(page.locator(".timeline")).to_contain_text("Cancelled")
    expect(page.locator(".timeline")).to_contain_text("by ann")


def test_all_that_match_a_filter_are_held_on_all_its_pages(page, site):
    store(site, 52, "News")
    site.shell("from django.core.mail import send_mail; send_mail('Other', 'Hello', None, ['b@example.com'])")
    page.reload()
    page.get_by_role("searchbox", name="Search").fill("news")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("All 52 that match").check()
    page.get_by_role("button", name="Hold").click()
    expect(question(page)).to_have_text("Hold 52 messages?")
    check_width(page)
    page.get_by_role("button", name="Hold 52 messages").click()
    expect(page.get_by_text("52 held.")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("news")
    assert (site.count("OutboxMessage", state="held"), site.count("OutboxMessage", state="queued")) == (52, 1)


def test_one_message_is_sent_again_from_its_page(page, site):
    store(site, 1)
    page.reload()
    page.get_by_role("link", name="Mail 0").click()
    page.get_by_role("button", name="Send again as new").click()
    expect(question(page)).to_have_text("Send 1 message again?")
    page.get_by_role("button", name="Send 1 message again").click()
    expect(page.get_by_text("1 sent again.")).to_be_visible()
    expect(question(page).filter(has_text="Mail 0")).to_be_visible()

    entry = page.locator(".timeline li", has_text="Sent again as a new message")
    expect(entry).to_contain_text("by ann")
    entry.get_by_role("link").click()
    expect(page.locator(".timeline li", has_text="Made from another message")).to_contain_text("by ann")


def test_nothing_is_changed_until_something_is_ticked_and_confirmed(page, site):
    store(site, 1)
    page.goto("/admin/flasky_mail/outboxmessage/?tab=queued")
    expect(page.get_by_role("button", name="Hold")).to_be_hidden()
    row(page, "Mail 0").get_by_role("checkbox").check()
    page.get_by_role("button", name="Hold").click()
    expect(question(page)).to_have_text("Hold 1 message?")
    page.get_by_role("link", name="Back, change nothing").click()
    assert page.url.endswith("?tab=queued")
    expect(row(page, "Mail 0").locator(".badge")).to_have_text("queued")


def test_it_works_with_the_keyboard_alone(browser, site):
    store(site, 1)
    with logged_in(browser, site, "ann") as page:
        row(page, "Mail 0").get_by_role("checkbox").focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Hold").focus()
        page.keyboard.press("Enter")
        expect(question(page)).to_have_text("Hold 1 message?")
        page.get_by_role("button", name="Hold 1 message").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 held.")).to_be_visible()


def test_who_may_only_look_sees_the_mails_and_no_button(browser, site):
    store(site, 1)
    with logged_in(browser, site, "vera") as page:
        expect(row(page, "Mail 0")).to_be_visible()
        expect(page.get_by_role("checkbox")).to_have_count(0)
        expect(page.get_by_role("button", name="Hold")).to_have_count(0)
        page.get_by_role("link", name="Mail 0").click()
        expect(page.get_by_role("button", name="Hold")).to_have_count(0)


# From an alarm to "tried again"


FAILURES = """
from flasky.mail.models import OutboxMessage, RelayOutage
from django.utils import timezone
from datetime import timedelta
OutboxMessage.objects.update(state="failed", last_reply="452 4.2.2 Mailbox full")
"""
AWAY = """
RelayOutage.objects.note("relay.test:25", "It does not answer.", timezone.now() + timedelta(minutes=1))
"""


def test_a_group_of_failures_is_tried_again_in_three_clicks(page, site):
    store(site, 3)
    site.shell(FAILURES)
    page.reload()
    page.get_by_role("navigation", name="States").get_by_role("link", name="Failed").click()
    page.get_by_role("button", name="Requeue 3 messages").click()
    page.get_by_role("button", name="Requeue 3 messages").click()
    expect(page.get_by_text("3 queued again.")).to_be_visible()


def test_all_that_waits_for_a_relay_is_tried_now_in_two_keys(browser, site):
    store(site, 2)
    site.shell(f"{FAILURES}OutboxMessage.objects.update(state='queued')\n{AWAY}")
    with logged_in(browser, site, "ann") as page:
        page.get_by_role("button", name="Try now what waits").focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Try 2 messages now").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("2 are tried now.")).to_be_visible()
    site.shell("from flasky.mail.models import RelayOutage; RelayOutage.objects.all().delete()")


def test_one_box_ticks_all_and_the_bar_shows_the_count_and_what_can_be_done(browser, site):
    store(site, 3)
    with logged_in(browser, site, "ann", viewport={"width": 1280, "height": 800}) as page:
        first = page.locator(".rows > li").first
        assert first.bounding_box()["y"] < 450
        assert first.bounding_box()["height"] <= 48
        before = first.bounding_box()
        page.get_by_role("checkbox", name="Tick all on this page").check()
        expect(page.get_by_text("Chosen: 3")).to_be_visible()
        expect(page.get_by_role("button", name="Try now", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Requeue")).to_be_hidden()
        assert first.bounding_box() == before
        page.get_by_role("checkbox", name="Tick all on this page").uncheck()
        expect(page.get_by_role("button", name="Try now", exact=True)).to_be_hidden()


# A bad day

BAD_DAY = (
    FAILURES
    + AWAY
    + """
for number, message in enumerate(OutboxMessage.objects.all()[:6]):
    OutboxMessage.objects.filter(pk=message.pk).update(recipients=[f"b@{number}.example"])
late = timezone.now() - timedelta(hours=1)
OutboxMessage.objects.filter(pk__gt=message.pk).update(state="queued", next_attempt_at=late)
RelayOutage.objects.update(reason="The relay refuses the login of a name that is as long as some. " * 9)
"""
)
SCREENS = {"laptop": {"viewport": {"width": 1280, "height": 800}}, "phone": PHONE}


@pytest.mark.parametrize("tab", ["", "?tab=failed"])
@pytest.mark.parametrize("screen", SCREENS)
def test_on_a_bad_day_the_first_row_is_above_the_middle_of_a_laptops_screen_and_on_a_phones(browser, site, screen, tab):
    store(site, 9)
    site.shell(BAD_DAY)
    with logged_in(browser, site, "ann", **SCREENS[screen]) as page:
        page.goto(f"/admin/flasky_mail/outboxmessage/{tab}")
        expect(page.get_by_text("The relay takes no mail")).to_be_visible()
        first = page.locator(".rows > li").first.bounding_box()
        assert first["y"] + (0 if screen == "laptop" else 48) < {"laptop": 400, "phone": 740}[screen]
    site.shell("from flasky.mail.models import RelayOutage; RelayOutage.objects.all().delete()")


def test_what_is_cut_off_in_the_banner_can_be_unfolded(browser, site):
    store(site, 9)
    site.shell(BAD_DAY)
    with logged_in(browser, site, "ann", viewport={"width": 1280, "height": 800}) as page:
        banner = page.locator(".overview-what")
        cut = banner.bounding_box()["height"]
        page.get_by_text("Something is wrong").click()
        assert banner.bounding_box()["height"] > 2 * cut
    site.shell("from flasky.mail.models import RelayOutage; RelayOutage.objects.all().delete()")
