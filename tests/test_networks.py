"""Two hosts deliver from one table; a link of one of them is cut and healed. Nothing is lost, no repeat is unmarked."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from tests.celery_worker import broker_url
from tests.conftest import wait_until
from tests.networks import Host
from tests.own_servers import OwnPostgresql, OwnRedis
from tests.scripted_relay import ScriptedRelay
from tests.site import Site
from tests.test_outages import MESSAGES, SHORT, STORE, check_all_accepted

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not os.environ.get("CUT_LINKS"),
        reason="cutting links takes root and minutes; CUT_LINKS=1 does it, and so does CI",
    ),
]


class Net:
    """This host with the servers, and a second one that reaches each of them over a link of its own."""

    def __init__(self, folder, host):
        self.folder, self.host = folder, host
        self.links = {name: host.link() for name in ("relay", "database", "broker")}
        self.held, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def running(self):
        with (
            ScriptedRelay(host="0.0.0.0") as self.relay,
            OwnPostgresql(self.links["database"].here) as database,
            OwnRedis(self.folder, self.links["broker"].here) as broker,
            Site(
                self.folder,
                DATABASE_URL=database.url,
                CELERY_BROKER_URL=broker.url,
                MAIL_SERVER=self.links["relay"].here,
                MAIL_PORT=str(self.relay.port),
                MAIL_TIMEOUT="3",
                MAIL_DISPATCHER="celery",
                **SHORT,
            ) as self.site,
        ):
            self.site.shell(STORE)
            self.relay.script = {"CONTENT": self._hold}
            yield

    def _hold(self):
        """Keep the answers back once 50 are given, until the test goes on: then every thread is on the wire."""
        if len(self.relay.accepted) >= 50:
            self.held.set()
            assert self.go_on.wait(60)

    @contextmanager
    def working(self, *command):
        with subprocess.Popen(command, env=self.site.environment, stderr=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(90)


@pytest.fixture
def net(tmp_path):
    broker_url("redis")
    with Host() as host:
        net = Net(tmp_path, host)
        with net.running():
            yield net


WORKER = (sys.executable, "manage.py", "deliver_mail", "--loop")
CELERY = (sys.executable, "-m", "celery", "-A", "flasky", "worker")


@pytest.mark.parametrize("far", [WORKER, CELERY], ids=["worker command", "celery"])
@pytest.mark.parametrize("cut", ["relay", "database", "broker"])
def test_a_link_that_is_cut_and_healed_loses_nothing(net, cut, far):
    with net.working(*net.host.command(*far)):
        assert net.held.wait(60), "the far host did not begin"
        net.links[cut].cut()
        with net.working(*WORKER):  # this host is not cut off
            net.go_on.set()
            wait_until(lambda: len(set(net.relay.accepted)) >= MESSAGES - 10, timeout=90)
            net.links[cut].heal()
            check_all_accepted(net.site, net.relay)


def test_a_host_that_stays_cut_off_from_the_database_can_be_stopped(net):
    """Its threads wait for answers that never come, and nobody tells them that the link is gone."""
    with net.working(*net.host.command(*WORKER)):
        assert net.held.wait(60), "the far host did not begin"
        net.links["database"].cut()
        net.go_on.set()
        with net.working(*WORKER):
            check_all_accepted(net.site, net.relay)
