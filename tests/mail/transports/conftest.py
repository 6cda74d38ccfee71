import pytest

from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay


@pytest.fixture(params=[False, True], ids=["one by one", "in groups"])
def scripted_relay(request, settings):
    """A relay that plays a script, without and with PIPELINING."""
    with ScriptedRelay(pipelining=request.param) as relay:
        use_relay(settings, relay)
        yield relay
