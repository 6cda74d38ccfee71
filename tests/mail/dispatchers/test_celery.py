"""flasky.celery and flasky.mail.dispatchers.celery: waking workers through a broker that may be away."""

import logging
import os
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec

import pytest
from django.conf import settings
from django.core.mail import EmailMessage

from flasky.mail import dispatchers
from flasky.mail.models import OutboxMessage, Process, State
from tests.actors import on_this_database, succeed
from tests.celery_worker import COMMAND, broker_url, celery_worker
from tests.conftest import wait_until

if find_spec("celery") is None and not os.environ.get("CI"):
    pytest.skip("Celery is not here (requirements-celery.txt)", allow_module_level=True)

from flasky.mail.dispatchers import celery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request, settings):
    """Publish to a real broker; no test leaves a publisher behind."""
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.celery"
    settings.CELERY_BROKER_URL = broker_url(request.param)
    yield settings.CELERY_BROKER_URL
    dispatchers.stop()


@pytest.fixture
def environment(broker, relay):
    """That of a worker on this test's database, broker and relay."""
    return {
        **on_this_database(),
        "MAIL_DISPATCHER": "celery",
        "CELERY_BROKER_URL": broker,
        "MAIL_TRANSPORT": "smtp",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(relay.port),
    }


@pytest.fixture
def broker_that(settings):
    """A broker that listens at a port of ours; what it does is up to the test."""
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.celery"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        yield listener
        dispatchers.stop()


def task():
    return celery.app.tasks[celery.TASK]


def send():
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    return email.outbox_message


@pytest.mark.parametrize("pool", [pytest.param("prefork", marks=pytest.mark.main_road), "threads", "solo"])
def test_a_worker_is_woken_and_delivers(environment, relay, pool):
    with celery_worker({**environment, "MAIL_WORKERS": "1"}, f"--pool={pool}"):
        assert send().wait(60) == State.SENT
        assert send().wait(60) == State.SENT
    assert relay.sessions == 1  # one connection, kept


def test_wake_ups_do_not_disturb_the_threads_at_work(environment, relay, monkeypatch):
    """Celery's own help for Django closed the pool of PostgreSQL's connections after each task."""
    monkeypatch.setattr(celery, "BETWEEN_WAKES", 0)
    with celery_worker(environment) as worker:
        messages = [send() for _ in range(60)]
        assert {message.wait(60) for message in messages} == {State.SENT}
    assert "ERROR" not in "".join(worker.log)


def test_a_worker_delivers_what_waited_for_it_without_a_wake_up_or_a_beat(environment, settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.none"
    message = send()
    with celery_worker(environment):
        assert message.wait(60) == State.SENT


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_is_stopped_finishes_the_mail_on_the_wire(environment, relay, pool):
    relay.gate.clear()
    with celery_worker(environment, f"--pool={pool}") as worker:
        message = send()
        relay.wait_until_in_data(1)
        worker.process.terminate()
        wait_until(lambda: any("Warm shutdown" in line for line in worker.log))
        relay.gate.set()
        assert worker.process.wait(60) == 0
    assert message.wait(0) == State.SENT
    assert not Process.objects.exists()  # it has said goodbye


def test_a_worker_does_not_start_with_wrong_settings(environment):
    wrong = {**os.environ, **environment, "MAIL_PORT": "99999"}
    finished = subprocess.run(COMMAND, env=wrong, capture_output=True, text=True, timeout=60)
    assert finished.returncode != 0
    assert "MAIL_PORT is 99999" in finished.stderr


def test_the_worker_command_and_the_beat_know_one_task_without_arguments():
    from flasky.celery import app

    assert list(app.conf.beat_schedule) == ["sweep"]
    assert app.conf.beat_schedule["sweep"]["task"] in app.tasks
    assert "args" not in app.conf.beat_schedule["sweep"]


def test_a_wake_up_goes_into_the_projects_own_queue(broker):
    with celery.new_connection() as connection, connection.SimpleQueue(settings.CELERY_TASK_DEFAULT_QUEUE) as queue:
        queue.clear()
        send()
        assert queue.get(timeout=60).headers["task"] == celery.TASK
        queue.clear()


def test_a_burst_needs_few_wake_ups(broker, monkeypatch):
    published = []
    monkeypatch.setattr(task(), "apply_async", lambda **options: published.append(options))
    monkeypatch.setattr(celery, "BETWEEN_WAKES", 60)
    for _ in range(100):
        dispatchers.wake()
    wait_until(lambda: published)
    assert len(published) == 1


def test_without_a_worker_wake_ups_do_not_pile_up(broker, settings, monkeypatch):
    """Nothing in Redis goes out of date by itself: a day without a worker was a list of a million."""
    monkeypatch.setattr(celery, "MOST_WAITING", 5)
    settings.CELERY_TASK_DEFAULT_QUEUE = f"hunt-{os.getpid()}"
    with celery.new_connection() as connection, connection.SimpleQueue(settings.CELERY_TASK_DEFAULT_QUEUE) as queue:
        for _ in range(20):
            publish(connection)
        with connection.Producer() as producer:  # as beat has one
            publish(producer=producer)
        waiting = queue.qsize()
        first = queue.get(timeout=60)
        queue.clear()
    is_redis = broker.startswith("redis")
    assert not is_redis or waiting == 5
    assert is_redis or first.properties["expiration"] == str(celery.EXPIRY * 1000)  # RabbitMQ throws it away then


def test_beats_wake_ups_go_out_of_date_too():
    options = celery._configuration()["beat_schedule"]["sweep"]["options"]
    assert options == {"expires": celery.EXPIRY, "expiration": celery.EXPIRY}


def publish(connection=None, producer=None):
    task().apply_async(
        connection=connection,
        producer=producer,
        queue=settings.CELERY_TASK_DEFAULT_QUEUE,
        expiration=celery.EXPIRY,
    )


@pytest.fixture
def tries(settings, monkeypatch):
    """Each try to publish on a broker that is away; whoever stops waits no longer than it takes to make one."""
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.celery"
    monkeypatch.setattr(celery, "TIMEOUT", 0.5)
    noted = []

    def fail(**options):
        noted.append(options)
        raise OSError("away")

    monkeypatch.setattr(task(), "apply_async", fail)
    yield noted
    dispatchers.stop()


def test_a_wake_up_lets_the_request_answer_first(tries, monkeypatch):
    monkeypatch.setattr(celery, "ANSWERING", 60)
    dispatchers.wake()
    dispatchers.stop()
    assert tries == []


def test_a_broker_that_is_away_is_left_alone_for_a_while(tries, monkeypatch):
    monkeypatch.setattr(celery, "BETWEEN_WAKES", 0)
    monkeypatch.setattr(celery, "PAUSE", 60)
    dispatchers.wake()
    wait_until(celery._publisher._published.is_set)
    dispatchers.wake()
    dispatchers.stop()
    assert len(tries) == 1


def test_a_broker_that_refuses_is_asked_once_at_each_try(settings, monkeypatch):
    """Celery's broker client would knock for seconds, with a visitor's CPU time."""
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.celery"
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    pauses = []
    monkeypatch.setattr("kombu.utils.functional.sleep", pauses.append)
    dispatchers.wake()
    wait_until(celery._publisher._published.is_set)
    assert celery._publisher._error
    assert pauses == []
    dispatchers.stop()


def test_a_silent_broker_keeps_nobody_waiting(broker_that, relay):
    """The sender is answered while the broker still has our connection and says nothing."""
    message = send()
    connection, _ = broker_that.accept()
    assert message.wait(0) == State.QUEUED
    with connection:
        dispatchers.wake()
        dispatchers.stop()


def test_a_broker_that_refuses_is_reported_once_and_so_is_its_return(settings, caplog, monkeypatch):
    url = broker_url("redis")
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.celery"
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(celery, "PAUSE", 0)
    with caplog.at_level(logging.INFO, "flasky"):
        for _ in range(2):
            send()
            wait_until(celery._publisher._published.is_set)
        assert caplog.text.count("No wake-up can be published") == 1
        assert "Look at CELERY_BROKER_URL" in caplog.text
        settings.CELERY_BROKER_URL = url
        send()
        wait_until(lambda: "Wake-ups are published again." in caplog.text)
    dispatchers.stop()
    assert OutboxMessage.objects.filter(state=State.QUEUED).count() == 3


def test_a_broker_that_hangs_up_is_connected_to_anew(broker, caplog):
    send()
    wait_until(celery._publisher._published.is_set)
    celery._publisher._connection.transport.close_connection(celery._publisher._connection.connection)
    send()
    wait_until(celery._publisher._published.is_set)
    send()
    wait_until(celery._publisher._published.is_set)
    assert celery._publisher._error == ""


def test_a_kept_connection_that_has_ended_costs_no_wake_up(broker, monkeypatch):
    send()
    wait_until(celery._publisher._published.is_set)
    kept, publish, published = celery._publisher._connection, task().apply_async, []

    def hang_up(connection, **options):
        if connection is kept:
            raise ConnectionResetError
        published.append(publish(connection=connection, **options))

    monkeypatch.setattr(task(), "apply_async", hang_up)
    send()
    wait_until(celery._publisher._published.is_set)
    assert len(published) == 1


def test_a_server_that_publishes_does_not_deliver(broker, relay):
    dispatchers.serve()
    assert send().wait(0) == State.QUEUED
    assert not any(thread.name.startswith("mail_") for thread in threading.enumerate())


def test_the_settings_are_read_when_celery_needs_them_and_not_at_import():
    script = """
import django
django.setup()
from django.conf import settings
from flasky.mail.dispatchers.celery import app
settings.CELERY_BROKER_URL, settings.CELERY_TASK_DEFAULT_QUEUE = "redis://broker.test:6379/1", "later"
assert (app.conf.broker_url, app.conf.task_default_queue) == ("redis://broker.test:6379/1", "later")
assert app.connection_for_read().hostname == "broker.test"
"""
    succeed(script)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_publishes_with_a_thread_of_its_own(broker):
    script = """
import os, django
django.setup()
from flasky.mail.dispatchers import celery
celery.wake()
parents = celery._publisher
child = os.fork()
if child == 0:
    celery.wake()
    own = celery._publisher is not parents and celery._publisher._thread.is_alive()
    celery.stop()
    os._exit(0 if own else 1)
celery.stop()
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    succeed(script)


def test_a_command_that_ends_at_once_still_wakes_a_worker(environment, settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.none"
    with celery_worker({**environment, "DJANGO_SETTINGS_MODULE": "tests.woken"}):  # nothing but a wake-up lets it look
        wait_until(lambda: Process.objects.exists())
        script = "from django.core.mail import send_mail; send_mail('Hi', 'Hello', None, ['b@example.com'])"
        command = [sys.executable, "manage.py", "shell", "-c", script]
        subprocess.run(command, env={**os.environ, **environment}, check=True, timeout=60, capture_output=True)
        assert OutboxMessage.objects.get().wait(60) == State.SENT
