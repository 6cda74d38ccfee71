"""A machine that can start no thread for a moment: what needs one is done as soon as it can."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command

from flasky.mail import dispatchers
from flasky.mail.delivery import claims, engine, pool
from flasky.mail.delivery.worker import Worker
from flasky.mail.dispatchers import threads
from flasky.mail.models import OutboxMessage, State
from flasky.mail.runtime import deadline
from flasky.mail.runtime.heartbeat import Heartbeat
from tests.conftest import running, wait_until
from tests.databases import new_database
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def no_thread(monkeypatch):
    """Let the threads whose names begin so not start, as often as said; return what is left of the refusals."""
    refusals = []
    start = threading.Thread.start

    def start_or_not(thread):
        if refusals and thread.name.startswith(refusals[-1][0]):
            kind = refusals.pop()[1]
            raise kind("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)

    def refuse(name, times=1, kind=RuntimeError):
        refusals.extend([(name, kind)] * times)
        return refusals

    return refuse


@pytest.fixture
def sweeping(settings):
    settings.MAIL_SWEEP_INTERVAL = 0.1


def store(count=1):
    for _ in range(count):
        EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]).send()


def all_sent():
    return not OutboxMessage.objects.exclude(state=State.SENT).exists()


# The threads that deliver


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError])
@pytest.mark.parametrize("times", [1, 3])
def test_mail_leaves_although_no_thread_could_be_started_for_a_moment(relay, sweeping, no_thread, caplog, times, kind):
    store(8)
    refusals = no_thread("mail_", times, kind)
    with running(Worker()) as worker:
        wait_until(all_sent)
        wait_until(lambda: worker._busy == 0)
    assert not refusals
    assert caplog.text.count("No thread can be started to deliver") == 1
    assert len(relay.mails) == 8


def test_mail_leaves_although_the_second_of_several_threads_could_not_be_started(relay, sweeping, no_thread):
    store(8)
    refusals = no_thread("mail_1")
    with running(Worker()) as worker:
        wait_until(all_sent)
        wait_until(lambda: worker._busy == 0)
        relay.gate.clear()
        store(8)
        worker.wake()
        relay.wait_until_in_data(worker._threads)  # all can be had again
        relay.gate.set()
        wait_until(all_sent)
    assert not refusals


def test_a_worker_with_few_threads_waits_for_no_others_and_closes_all_their_connections(relay, no_thread, monkeypatch):
    monkeypatch.setattr(pool, "TOGETHER", None)  # who waited for threads that there are not would never end
    with running(Worker()) as worker:
        store()
        worker.wake()
        wait_until(all_sent)
        no_thread("mail_", 100)
    assert not any(thread.name.startswith("mail_") for thread in threading.enumerate())


def test_a_worker_that_could_not_start_leaves_nothing_behind(no_thread):
    hooks = len(threading._threading_atexits)
    no_thread("mail-timer")
    with pytest.raises(RuntimeError):
        Worker().start()
    assert len(threading._threading_atexits) == hooks


def test_a_server_that_cannot_start_its_threads_says_so_once_and_goes_on_trying(no_thread, settings, caplog):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.threads"
    no_thread("mail-timer", 3)
    for _ in range(3):
        dispatchers.serve()
    assert caplog.text.count("could not be started") == 1
    dispatchers.serve()
    assert threads._worker._timer.is_alive()
    dispatchers.stop()


def test_deliver_mail_goes_on_with_the_threads_that_there_are(relay, no_thread, capsys):
    store(8)
    no_thread("mail_1")
    call_command("deliver_mail")
    assert "8 sent" in capsys.readouterr().out


@pytest.mark.parametrize(("options", "name"), [([], "mail_"), (["--loop"], "mail-timer")])
def test_deliver_mail_without_any_thread_says_what_to_do(relay, no_thread, options, name):
    store()
    no_thread(name)
    with pytest.raises(CommandError, match=r"No thread can be started to deliver \(can't start new thread\)\. Raise"):
        call_command("deliver_mail", *options)
    assert OutboxMessage.objects.due().exists()


LIMITED = """
import os, resource, sys, threading, time
import django
django.setup()
from django.core.mail import EmailMessage
from flasky.mail.models import OutboxMessage
from flasky.mail.delivery.worker import Worker
if not os.geteuid():
    os.setuid(65534)  # no limit binds root
def wait_until(happened):
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
OutboxMessage.objects.count()
worker = Worker()
worker.start()
before, hard = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
for _ in range(4):
    EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]).send()
worker.wake()
wait_until(lambda: not worker._has_threads)
assert OutboxMessage.objects.filter(state="queued").count() == 4
resource.setrlimit(resource.RLIMIT_NPROC, (before, hard))
wait_until(lambda: OutboxMessage.objects.filter(state="sent").count() == 4)
worker.stop()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of threads differ from system to system")
def test_a_worker_at_its_limit_of_threads_delivers_when_it_may_have_more():
    folder = Path(tempfile.mkdtemp(prefix="flasky-few-threads-"))  # pytest's own can be entered by its user only
    with ScriptedRelay() as relay:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.haste",
            "DATABASE_URL": new_database(folder),
            "MAIL_TRANSPORT": "smtp",
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(relay.port),
        }
        folder.chmod(0o777)
        for path in folder.iterdir():
            path.chmod(0o666)
        finished = subprocess.run(
            [sys.executable, "-c", LIMITED], env=environment, timeout=90, capture_output=True, text=True
        )
    shutil.rmtree(folder)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr.count("No thread can be started to deliver (can't start new thread)") == 1
    assert len(relay.accepted) == 4


# Those who keep leases and look


def test_a_claim_whose_lease_nobody_could_renew_is_given_back_unsent(relay, no_thread, monkeypatch):
    monkeypatch.setattr(claims, "_heartbeat", Heartbeat("claim", OutboxMessage.objects.renew, lambda: 0.01))
    store()
    no_thread("claim-heartbeat")
    with pytest.raises(RuntimeError):
        engine.deliver_due()
    assert OutboxMessage.objects.due().get().attempt_count == 0
    assert not relay.mails
    engine.deliver_due()
    assert all_sent()


def test_leases_are_renewed_again_after_no_thread_could_be_started_for_a_moment(no_thread):
    renewed = []
    heartbeat = Heartbeat("test", renewed.append, lambda: 0.01)
    no_thread("test-heartbeat")
    with pytest.raises(RuntimeError):
        heartbeat.add("first")
    heartbeat.add("second")
    wait_until(lambda: renewed)
    heartbeat.discard("second")
    assert renewed[0] == {"second"}


def test_leases_are_renewed_again_after_the_thread_that_renewed_them_died(monkeypatch):
    renewed, failures = [], [MemoryError()]
    monkeypatch.setattr(threading, "excepthook", lambda *arguments: None)

    def pause():
        if failures:
            raise failures.pop()
        return 0.01

    heartbeat = Heartbeat("test", renewed.append, pause)
    heartbeat.add("first")
    wait_until(lambda: not heartbeat._thread.is_alive())
    heartbeat.add("second")
    wait_until(lambda: renewed)
    heartbeat.discard("first")
    heartbeat.discard("second")


def test_readyz_says_that_no_thread_could_be_started_and_is_not_silent_for_ever(client, no_thread):
    no_thread("look")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.content.startswith(
        b"This process can start no thread. Raise its limit of threads or memory: ulimit"
    )
    assert client.get("/readyz").content == b"ok\n"


def test_a_look_that_fails_to_close_its_connection_answers_all_the_same(monkeypatch):
    def fail():
        raise RuntimeError("it cannot be closed")

    monkeypatch.setattr(deadline.connections, "close_all", fail)
    assert deadline.SingleFlight(lambda: 42).answer() == 42
