"""Two hosts deliver from one table; a link of one of them is cut and healed. Nothing is lost, no repeat is unmarked."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from tests.celery_worker import broker_url
from tests.children import Child
from tests.conftest import wait_until
from tests.journeys.test_outages import MESSAGES, SHORT, STORE, check_all_accepted
from tests.networks import Host
from tests.own_servers import OwnPostgresql, OwnRedis
from tests.running_site import Site
from tests.scripted_relay import ScriptedRelay

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not os.environ.get("CUT_LINKS"),
        reason="cutting links takes root and a minute or two; CUT_LINKS=1 does it, and so does CI",
    ),
]
THREADS = 4  # of each host
FRESH = "UPDATE flasky_mail_outboxmessage SET queued_at = now(), next_attempt_at = now()"
AGAIN = f"{FRESH}, state = 'queued', outcomes = '{{}}', finished_at = NULL WHERE id % 10 = 0"
WAITING = "SELECT 1 FROM pg_locks JOIN pg_database ON database = pg_database.oid WHERE NOT granted AND datname = %s"
BY_SOMEBODY_DEAD = """
    UPDATE flasky_mail_outboxmessage SET state = 'sending', claimed_by = 'somebody dead', lease_expires_at = now(),
    claim_token = md5((id / 50)::text)::uuid
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A PostgreSQL server whose database `full` has the messages, for each test to copy."""
    with OwnPostgresql("0.0.0.0") as cluster:
        cluster.ask('CREATE DATABASE "full"')
        site = Site(tmp_path_factory.mktemp("full"), DATABASE_URL=cluster.url("full"), MAIL_DISPATCHER="none")
        site.manage("migrate")
        site.shell(STORE)
        yield cluster


class Net:
    """This host with the servers, and a second one that reaches each of them over a link of its own."""

    def __init__(self, folder, host, cluster):
        self.folder, self.host, self.cluster, self.database = folder, host, cluster, host.name
        self.links = {name: host.link() for name in ("relay", "database", "broker")}
        self.held, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def running(self):
        self.cluster.ask(f'CREATE DATABASE "{self.database}" TEMPLATE "full"')
        self.ask(FRESH)
        with ScriptedRelay(host="0.0.0.0") as self.relay, OwnRedis(self.folder, self.links["broker"].here) as broker:
            site = Site(
                self.folder,
                DATABASE_URL=self.cluster.url(self.database, self.links["database"].here),
                CELERY_BROKER_URL=broker.url,
                MAIL_SERVER=self.links["relay"].here,
                MAIL_PORT=str(self.relay.port),
                MAIL_TIMEOUT="1",  # s; ten times that for the reply to a whole message
                MAIL_WORKERS=str(THREADS),
                MAIL_DISPATCHER="celery",
                **SHORT,
            )
            self.environment = site.environment  # nobody asks for pages
            yield

    def ask(self, sql, *values):
        return self.cluster.ask(sql, *values, database=self.database)

    def hold_each_thread(self):
        """Keep the answers back once 50 are given, until the test goes on: then every thread is on the wire."""
        held = []

        def hold():
            if len(self.relay.accepted) >= 50 and not self.go_on.is_set():
                held.append("a thread")
                if len(held) >= THREADS:
                    self.held.set()
                assert self.go_on.wait(60)

        self.relay.script = {"CONTENT": hold}

    @contextmanager
    def in_a_transaction(self, table):
        """Let whoever changes the table come no further, in the middle of a transaction."""
        with self.cluster.connect(self.database) as connection, connection.transaction():
            connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield

    def somebody_waits(self):
        return self.ask(WAITING, self.database)

    @contextmanager
    def working(self, *command):
        with Child(command, env=self.environment, stderr=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(90)


@pytest.fixture
def net(tmp_path, cluster):
    broker_url("redis")
    with Host() as host:
        net = Net(tmp_path, host, cluster)
        with net.running():
            yield net


WORKER = (sys.executable, "manage.py", "deliver_mail", "--loop")
CELERY = (sys.executable, "-m", "celery", "-A", "flasky", "worker")


@pytest.mark.parametrize("far", [WORKER, CELERY], ids=["worker command", "celery"])
@pytest.mark.parametrize("cut", ["relay", "database", "broker"])
def test_a_link_that_is_cut_and_healed_loses_nothing(net, cut, far):
    net.hold_each_thread()
    with net.working(*net.host.command(*far)):
        assert net.held.wait(60), "the far host did not begin"
        net.links[cut].cut()
        with net.working(*WORKER):  # this host is not cut off
            net.go_on.set()
            wait_until(lambda: len(set(net.relay.accepted)) >= MESSAGES - 10, timeout=90)
            net.links[cut].heal()
            check_all_accepted(net, net.relay)
        before = len(net.relay.accepted)
        net.ask(AGAIN)
        wait_until(lambda: len(net.relay.accepted) >= before + 30, timeout=90)  # the far host works again


def test_a_host_that_stays_cut_off_from_the_database_can_be_stopped(net):
    """Its threads wait for answers that never come, and nobody tells them that the link is gone."""
    net.hold_each_thread()
    with net.working(*net.host.command(*WORKER)):
        assert net.held.wait(60), "the far host did not begin"
        net.links["database"].cut()
        net.go_on.set()
        with net.working(*WORKER):
            check_all_accepted(net, net.relay)


@pytest.mark.parametrize(
    ("before", "table"),
    [
        (FRESH, "flasky_mail_outboxmessage"),
        (FRESH, "flasky_mail_attempt"),
        (BY_SOMEBODY_DEAD, "flasky_mail_outboxmessage"),
    ],
    ids=["a claim", "a record", "a give-back"],
)
def test_a_host_that_is_cut_off_in_a_transaction_does_not_keep_its_locks(net, before, table):
    net.ask(before)
    with net.in_a_transaction(table), Child(net.host.command(*WORKER), env=net.environment):
        wait_until(net.somebody_waits, timeout=60)
        net.links["database"].cut()
        net.host.kill_all()  # its system says nothing of that to the database: the link is cut
    with net.working(*WORKER):
        check_all_accepted(net, net.relay)


def test_a_host_that_is_cut_off_when_it_starts_works_when_the_link_is_healed(net):
    net.links["database"].cut()
    with net.working(*net.host.command(*WORKER)):
        wait_until(lambda: net.host.calls(net.links["database"]), timeout=60)
        net.links["database"].heal()
        check_all_accepted(net, net.relay)
