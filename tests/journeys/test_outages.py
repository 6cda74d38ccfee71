"""Servers that go away and come back while mail is on its way: nothing is lost, and no page waits."""

import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager

import pytest

from tests.celery_worker import COMMAND, broker_url, celery_worker
from tests.children import Child
from tests.conftest import wait_until
from tests.own_servers import OwnPostgresql, OwnRedis, small_disk
from tests.running_site import Site, Visitor
from tests.scripted_relay import ScriptedRelay
from tests.smtp_server import SmtpServer

MESSAGES = 300
STORE = f"""
from django.core.mail import EmailMessage
from django.db import transaction
with transaction.atomic():
    for number in range({MESSAGES}):
        EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]).send()
"""
SENT = "SELECT message_id FROM flasky_mail_outboxmessage WHERE state = 'sent'"
MARKED = "SELECT message_id FROM flasky_mail_outboxmessage WHERE possible_duplicate"
WITHOUT_A_PAUSE = """
UPDATE flasky_mail_outboxmessage SET next_attempt_at = now() WHERE id IN (
    SELECT id FROM flasky_mail_outboxmessage WHERE state = 'queued' AND next_attempt_at > now() FOR UPDATE SKIP LOCKED
)
"""
SHORT = {"DJANGO_SETTINGS_MODULE": "tests.haste"}


@contextmanager
def worker(site, **variables):
    command = [sys.executable, "manage.py", "deliver_mail", "--loop"]
    environment = {**site.environment, **variables}
    with Child(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def check_all_accepted(database, relay):
    """Wait until all are sent. What is to be tried again is due at once: the plan's pauses take up to a minute."""

    def are_all_sent():
        database.ask(WITHOUT_A_PAUSE)
        return len(database.ask(SENT)) == MESSAGES

    wait_until(are_all_sent, timeout=90)
    accepted = Counter(relay.accepted)
    repeated = {message_id for message_id, times in accepted.items() if times > 1}
    assert len(accepted) == MESSAGES
    assert repeated <= {message_id for (message_id,) in database.ask(MARKED)}, "a repeat was not marked"


def test_a_broker_that_is_away_delays_no_page_and_loses_no_mail(tmp_path):
    broker_url("redis")  # skips where Celery is missing
    with SmtpServer() as relay, OwnRedis(tmp_path) as broker:
        variables = {**SHORT, "MAIL_DISPATCHER": "celery", "CELERY_BROKER_URL": broker.url}
        with Site(tmp_path, relay, **variables) as site, celery_worker(site.environment):
            visitor = Visitor(site)
            visitor.submit("Before")
            relay.wait_for(1)
            broker.stop()
            assert visitor.submit("While it is away").status_code == 200
            relay.wait_for(2)  # the worker looks by itself
            broker.start()
            assert visitor.submit("After").status_code == 200
            relay.wait_for(3)
            assert len(relay.mails) == 3
        assert "Traceback" not in "".join(site.log)


def test_a_worker_that_starts_without_its_broker_delivers_all_the_same(tmp_path):
    broker_url("redis")
    with SmtpServer() as relay:
        variables = {**SHORT, "MAIL_DISPATCHER": "celery", "CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}
        with Site(tmp_path, relay, **variables) as site:
            assert Visitor(site).submit("Ann").status_code == 200
            with Child(COMMAND, env=site.environment, stderr=subprocess.DEVNULL) as process:
                try:
                    relay.wait_for(1)
                finally:
                    process.kill()


def test_a_database_that_is_restarted_midway_loses_nothing(tmp_path):
    """It goes while each thread waits for the relay's answer, which cannot be recorded until it is back."""
    held, go_on = threading.Event(), threading.Event()

    def hold():
        if len(relay.accepted) >= 50:
            held.set()
            assert go_on.wait(60)

    with (
        OwnPostgresql() as database,
        ScriptedRelay() as relay,
        Site(tmp_path, relay, DATABASE_URL=database.url(), MAIL_DISPATCHER="none", **SHORT) as site,
    ):
        site.shell(STORE)
        relay.script = {"CONTENT": hold}
        with worker(site), worker(site):
            assert held.wait(60)
            database.stop()
            relay.behave()
            go_on.set()
            database.start()
            check_all_accepted(database, relay)


def test_a_database_that_only_reads_for_a_while_after_the_final_dot_lets_no_mail_go_twice(tmp_path):
    """As after a fail-over: it answers, and takes no reply."""
    held, go_on = threading.Event(), threading.Event()

    def hold():
        held.set()
        assert go_on.wait(60)

    with (
        OwnPostgresql() as database,
        ScriptedRelay() as relay,
        Site(tmp_path, relay, DATABASE_URL=database.url(), MAIL_DISPATCHER="none", **SHORT) as site,
    ):
        site.shell(STORE)
        relay.script = {"CONTENT": hold}
        with worker(site):
            assert held.wait(60)
            database.only_read(True)
            relay.behave()
            go_on.set()
            wait_until(lambda: "cannot execute UPDATE in a read-only transaction" in database.log())
            database.only_read(False)
            check_all_accepted(database, relay)
        assert Counter(relay.accepted).most_common(1)[0][1] == 1
        assert database.ask(MARKED) == []
        replies = database.ask("SELECT outcome, reply, count(*) FROM flasky_mail_attempt GROUP BY outcome, reply")
        assert replies == [("accepted", "250 2.0.0 Queued", MESSAGES)]


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a_full_disk_is_told_by_readyz_while_it_lasts(tmp_path, kind):
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="flasky-disk-"))
        fill = stack.enter_context(small_disk(folder, 100 if kind == "postgresql" else 10))
        if kind == "postgresql":
            url = stack.enter_context(OwnPostgresql(folder=folder)).url()
        else:
            url = f"sqlite:///{folder}/db.sqlite3"
        visitor = Visitor(stack.enter_context(Site(tmp_path, DATABASE_URL=url, MAIL_DISPATCHER="none")))
        assert visitor.get("/readyz").text == "ok\n"
        fill()
        wait_until(lambda: visitor.get("/readyz").status_code == 503, timeout=40)
        assert re.search(r"its disk (is full|fails or is full). Make room", visitor.get("/readyz").text)
        fill(False)
        wait_until(lambda: visitor.get("/readyz").text == "ok\n")
