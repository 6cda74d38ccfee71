"""One behaviour for every dispatcher: after a commit and a wake, or without one, the mail arrives."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from importlib import import_module

import pytest
from django.core.checks import run_checks
from django.core.mail import EmailMessage
from django.db import transaction
from django.test.utils import _TestState

from flasky.mail import dispatchers
from flasky.mail.dispatchers import inline, threads
from flasky.mail.models import OutboxMessage, State
from flasky.mail.status.alerts import somebody_delivers
from flasky.mail.transports import TransportUnavailable
from tests.actors import claim, expire, on_this_database, succeed
from tests.celery_worker import broker_url, celery_worker
from tests.children import Child
from tests.docs.pages import blocks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["inline", "threads", "none", "celery-redis", "celery-rabbitmq"])
def dispatcher(request, settings):
    """Each way, with whoever delivers beside this process, on a relay that a test names."""
    name, _, broker = request.param.partition("-")
    settings.MAIL_DISPATCHER = f"flasky.mail.dispatchers.{name}"
    settings.CELERY_BROKER_URL = broker_url(broker) if broker else settings.CELERY_BROKER_URL
    yield name
    dispatchers.stop()


@pytest.fixture
def delivery(dispatcher, settings):
    """Whoever delivers, in a process of their own if that is the dispatcher's way."""
    environment = {
        **on_this_database(),
        "MAIL_DISPATCHER": dispatcher,
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        "MAIL_TRANSPORT": "smtp",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(settings.MAIL_PORT),
    }
    dispatchers.serve()
    if dispatcher == "celery":
        with celery_worker(environment):
            yield
    elif dispatcher == "none":
        with worker_command(environment):
            yield
    else:
        yield


@contextmanager
def worker_command(environment):
    command = [sys.executable, "manage.py", "deliver_mail", "--loop"]
    often = {"DJANGO_SETTINGS_MODULE": "tests.haste"}  # nobody wakes it: a mail waits for its next look
    with Child(command, env={**os.environ, **environment, **often}, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture
def threaded(settings, monkeypatch):
    """A server, which no test environment is set up for."""
    monkeypatch.delattr(_TestState, "saved_data")
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.threads"
    yield
    threads.stop()


def send():
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    return email.outbox_message


@pytest.mark.main_road
def test_a_committed_mail_is_delivered(relay, delivery):
    assert send().wait(60) == State.SENT


def test_a_mail_that_was_rolled_back_is_not(relay, delivery):
    with pytest.raises(RuntimeError), transaction.atomic():
        send()
        raise RuntimeError
    assert send().wait(60) == State.SENT
    assert len(relay.mails) == 1


@pytest.fixture
def no_relay(settings):
    settings.MAIL_TRANSPORT, settings.MAIL_PORT = "smtp", 1


def test_a_relay_that_is_down_does_not_reach_the_sender(no_relay, delivery, caplog):
    message = send()
    assert message.wait(0) == State.QUEUED


def test_where_all_deliver_inline_the_mail_of_a_holder_who_died_is_taken_up(relay, settings, monkeypatch):
    message = claim_of_somebody_dead(settings)
    monkeypatch.setattr(inline, "_looked_at", 0.0)
    dispatchers.wake()
    assert message.wait(0) == State.SENT


def test_inline_delivery_does_not_look_for_the_dead_with_every_mail(relay, settings, monkeypatch):
    monkeypatch.setattr(inline, "_looked_at", 0.0)
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    send()
    message = claim_of_somebody_dead(settings)
    dispatchers.wake()
    assert message.wait(0) == State.SENDING


def claim_of_somebody_dead(settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.none"
    message = send()
    claim()
    expire()
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    return message


def test_inline_delivery_leaves_a_provider_alone_for_as_long_as_it_wants(settings, monkeypatch):
    asked = []

    def refuse():
        asked.append(True)
        raise TransportUnavailable("429 Too many", retry_after=60)

    monkeypatch.setattr(inline, "deliver_due", refuse)
    monkeypatch.setattr(inline, "_rest_until", 0.0)
    for _ in range(3):
        inline.wake()
    assert len(asked) == 1


def test_nobody_is_woken_by_the_dispatcher_none(relay, settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.none"
    dispatchers.serve()
    assert send().wait(0) == State.QUEUED


def test_the_first_request_starts_the_threads_and_drains_the_backlog(threaded, relay, client):
    message = send()
    client.get("/healthz")
    assert message.wait(60) == State.SENT


def test_a_process_that_serves_nothing_starts_no_threads(threaded, relay):
    """Short commands store and return."""
    assert send().wait(0) == State.QUEUED
    assert threads._worker is None


def test_serving_twice_starts_one_worker(threaded):
    dispatchers.serve()
    first = threads._worker
    dispatchers.serve()
    assert threads._worker is first


def test_threads_that_cannot_start_fail_no_request_and_are_tried_again(threaded, monkeypatch, caplog, client):
    def start(worker):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("flasky.mail.delivery.worker.Worker.start", start)
        assert client.get("/healthz").status_code == 200
    assert "can't start new thread" in caplog.text
    dispatchers.serve()
    assert threads._worker._timer.is_alive()


def test_every_dispatcher_can_be_stopped_twice(dispatcher):
    dispatchers.serve()
    dispatchers.wake()
    dispatchers.stop()
    dispatchers.stop()


def test_a_script_that_delivers_inline_hangs_up_at_its_end(smtp_server):
    script = """
import django
django.setup()
from django.core.mail import send_mail
send_mail("Hi", "Hello", "ann@example.com", ["bob@example.com"])
"""
    of_the_relay = {"MAIL_TRANSPORT": "smtp", "MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(smtp_server.port)}
    finished = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", script],
        env={**os.environ, **on_this_database(), "MAIL_DISPATCHER": "inline", **of_the_relay},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (finished.returncode, "ResourceWarning" in finished.stderr) == (0, False)
    assert len(smtp_server.mails) == 1


def test_no_signal_handler_is_installed(threaded):
    """In a gunicorn worker it would turn a request in flight into a 500."""
    before = signal.getsignal(signal.SIGTERM)
    dispatchers.serve()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_starts_threads_of_its_own(settings):
    """A pool made before the fork would never run a job (gunicorn --preload)."""
    script = """
import os, django
django.setup()
from flasky.mail.dispatchers import inline, threads
threads.serve()
parents = threads._worker
child = os.fork()
if child == 0:
    threads.serve()
    own = threads._worker is not parents and threads._worker._timer.is_alive()
    threads.stop()
    os._exit(0 if own else 1)
threads.stop()
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    succeed(script)


def test_the_wait_is_over_when_nothing_is_left(relay, delivery):
    for message in [send() for _ in range(10)]:
        assert message.wait(60) == State.SENT
    assert not OutboxMessage.objects.exclude(state=State.SENT).exists()


def test_a_projects_tests_start_no_threads_with_their_requests(client, settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.threads"
    client.get("/")
    assert "mail-timer" not in [thread.name for thread in threading.enumerate()]


# One of somebody's own


@pytest.fixture
def documented(settings, tmp_path, monkeypatch):
    """Use the dispatcher that docs/settings.md has as its example."""
    [example] = [block.text for block in blocks("python") if block.page == "docs/settings.md"]
    (tmp_path / "shop_waker.py").write_text(example, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    settings.MAIL_DISPATCHER, settings.WAKE_FILE = "shop_waker", str(tmp_path / "wake")
    yield tmp_path / "wake"
    sys.modules.pop("shop_waker")
    dispatchers._module.cache_clear()


def test_the_documented_dispatcher_wakes_and_checks_its_setting(documented, settings):
    EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"]).send()
    assert documented.exists()
    assert not dispatchers.delivers_inline()
    assert not [message for message in run_checks(databases=[]) if message.id == "shop.E001"]
    del settings.WAKE_FILE
    assert [message for message in run_checks(databases=[]) if message.id == "shop.E001"]


def test_a_dispatcher_says_itself_that_it_delivers_inline(settings, documented, monkeypatch):
    monkeypatch.setattr(import_module("shop_waker"), "DELIVERS_INLINE", True, raising=False)
    assert somebody_delivers()


def test_a_dispatcher_that_cannot_be_imported_delivers_nothing(settings):
    settings.MAIL_DISPATCHER = "not.there"
    assert not dispatchers.delivers_inline()
