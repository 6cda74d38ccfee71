from functools import partial

import pytest

from flasky.mail.web import search
from tests.people import log_in_staff


@pytest.fixture
def staff(client):
    return partial(log_in_staff, client)


@pytest.fixture
def viewer(staff):
    return staff("view_outboxmessage", "open_outboxmessage")


@pytest.fixture
def small(monkeypatch):
    """Two messages on a page, four in a window, none counted beyond the sixth."""
    for name, size in {"PER_PAGE": 2, "SPAN": 4, "TO_ADDRESS": 4, "MOST_COUNTED": 6}.items():
        monkeypatch.setattr(search, name, size)
