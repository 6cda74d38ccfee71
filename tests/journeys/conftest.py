import pytest

from tests.browser import log_in


@pytest.fixture(params=["mailbox", "admin"])
def door(request):
    """By which pages of ours a message is looked at."""
    return request.param


@pytest.fixture(params=["with-javascript", "no-javascript"])
def page(request, browser, site, door):
    """The page of somebody who may look at messages there."""
    context = browser.new_context(base_url=site.url, java_script_enabled=request.param == "with-javascript")
    opened = context.new_page()
    if door == "admin":
        log_in(opened, site, "boss", "boss-password")
    yield opened
    context.close()
