"""2,000 messages, four processes with two threads each, one table: each message is accepted exactly once.

The processes are worker commands; or two Celery workers, a worker command and a web server at the same time.
"""

import os
import signal
import sys
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager

import pytest

from tests.celery_worker import broker_url
from tests.children import Child
from tests.conftest import wait_until
from tests.databases import new_database
from tests.scripted_relay import ScriptedRelay
from tests.shell import run_in_shell

MESSAGES = 2000
PROCESSES = 4
THREADS = 2  # in each process

STORE = f"""
from flasky.mail.models import OutboxMessage
from flasky.mail.wire.compose import compose
from django.core.mail import EmailMessage
emails = [EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]) for _ in range({MESSAGES})]
OutboxMessage.objects.bulk_create([OutboxMessage(**compose(email)) for email in emails], batch_size=500)
print(*OutboxMessage.objects.values_list("message_id", flat=True))
"""
COUNT = """
from collections import Counter
from flasky.mail.models import Attempt, OutboxMessage
messages = OutboxMessage.objects.values_list("state", "attempt_count", "possible_duplicate")
print(dict(messages=Counter(messages), attempts=Counter(Attempt.objects.values_list("outcome", flat=True)),
           workers=Attempt.objects.values("worker").distinct().count()))
"""


def one_start_for(relay, count):
    """Keep all waiting for the greeting until `count` have connected: nobody begins before the others are there."""
    started = threading.Event()

    def greet():
        if relay.sessions >= count:
            started.set()
        assert started.wait(60), f"only {relay.sessions} of {count} threads came"

    return greet


class Swarm:
    """Processes that work on one table and hand over to one relay."""

    def __init__(self, database_url, relay):
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "flasky.settings",
            "DATABASE_URL": database_url,
            "MAIL_TRANSPORT": "smtp",
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(relay.port),
            "MAIL_TIMEOUT": "60",
            "MAIL_WORKERS": str(THREADS),
        }

    def worker(self, log):
        return self.process(log, "manage.py", "deliver_mail", "--loop")

    def celery(self, log):
        self.environment |= {"MAIL_DISPATCHER": "celery", "CELERY_BROKER_URL": broker_url("redis")}
        return self.process(log, "-m", "celery", "-A", "flasky", "worker")

    def web_server(self, log):
        options = ("--workers", "1", "--bind", "127.0.0.1:0")
        return self.process(log, "-m", "gunicorn", "flasky.wsgi", *options, MAIL_DISPATCHER="threads")

    @contextmanager
    def process(self, log, *arguments, **variables):
        """Run a process that delivers; it must end by itself after SIGTERM, and in order."""
        environment = {**self.environment, **variables}
        with Child([sys.executable, *arguments], env=environment, stdout=log, stderr=log) as process:
            try:
                yield
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
            finally:
                process.kill()


ALIKE = (Swarm.worker,) * PROCESSES
MIXED = (Swarm.celery, Swarm.celery, Swarm.worker, Swarm.web_server)


@pytest.mark.parametrize("kinds", [ALIKE, MIXED], ids=["worker commands", "celery, worker command, web server"])
def test_each_of_two_thousand_messages_is_accepted_exactly_once(kinds, tmp_path):
    log = (tmp_path / "log").open("w+")
    with ScriptedRelay() as relay, log:
        swarm = Swarm(new_database(tmp_path), relay)
        relay.script = {"connect": one_start_for(relay, PROCESSES * THREADS)}
        stored = run_in_shell(STORE, swarm.environment).split()
        assert len(set(stored)) == MESSAGES
        with ExitStack() as workers:
            for kind in kinds:
                workers.enter_context(kind(swarm, log))
            wait_until(lambda: len(relay.accepted) >= MESSAGES, timeout=100)
        assert Counter(relay.accepted) == Counter(stored)
        assert eval(run_in_shell(COUNT, swarm.environment), {"Counter": Counter}) == {
            "messages": {("sent", 1, False): MESSAGES},
            "attempts": {"accepted": MESSAGES},
            "workers": PROCESSES * THREADS,
        }
        log.seek(0)
        assert "ERROR" not in log.read()
