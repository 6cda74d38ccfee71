from functools import partial

import pytest

from tests.people import log_in_staff


@pytest.fixture
def staff(client):
    return partial(log_in_staff, client)


@pytest.fixture
def viewer(staff):
    return staff("view_outboxmessage", "open_outboxmessage")
