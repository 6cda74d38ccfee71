"""flasky.mail.dispatchers.celery and flasky.mail.tasks in a project that has a Celery app of its own."""

import os
import subprocess
import sys
from contextlib import contextmanager
from uuid import uuid4

import pytest

from tests.celery_worker import CeleryWorker, broker_url
from tests.docs.pages import ROOT

APP = """
import os
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
"""
SETTINGS = """
import os
from kombu import Queue

SECRET_KEY = "for this test only"
INSTALLED_APPS = ["flasky.mail"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{folder}/db.sqlite3"}}}}
USE_TZ = True
MAIL_TRANSPORT, MAIL_SERVER, MAIL_PORT = "smtp", "127.0.0.1", {port}
MAIL_DISPATCHER = os.environ["MAIL_DISPATCHER"]
MAIL_SWEEP_INTERVAL = 3600  # s: what arrives sooner was waked for
MAIL_DIGEST_AFTER = 0
CELERY_BROKER_URL = ["{broker}", "redis://127.0.0.1:1/0"]
CELERY_TASK_DEFAULT_QUEUE = "{queue}"
CELERY_TASK_QUEUES = [Queue("{queue}", expires=60)]
"""
SEND = """
import django
django.setup()
from django.core.mail import EmailMessage
from flasky.mail.backend import OutboxEmailBackend
email = EmailMessage("Hi", "Hello", "shop@example.com", ["bob@example.com"])
OutboxEmailBackend().send_messages([email])
"""
PROCESS_OF_A_POOL = """
import django
django.setup()
from celery import signals
from shop.celery import app
app.loader.import_default_modules()
assert "flasky.mail.deliver" in app.tasks
from flasky.mail.dispatchers import threads
signals.worker_process_init.send(None)
print("delivers" if threads._worker else "does not")
signals.worker_process_shutdown.send(None)
"""


class Shop:
    def __init__(self, folder, broker, relay):
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").write_text("from shop.celery import app\n")
        (folder / "shop" / "celery.py").write_text(APP)
        queue = f"shop-{uuid4()}"
        settings = SETTINGS.format(folder=folder, port=relay.port, broker=broker, queue=queue)
        (folder / "shop" / "settings.py").write_text(settings)
        self.folder = folder
        path = f"{folder}{os.pathsep}{ROOT}"
        self.own = {"DJANGO_SETTINGS_MODULE": "shop.settings", "PYTHONPATH": path, "MAIL_DISPATCHER": "celery"}
        self.python("-m", "django", "migrate")

    def python(self, *arguments, **variables):
        """Run Python in the project, and return what it prints."""
        finished = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.own, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    @contextmanager
    def worker(self, *arguments):
        worker = CeleryWorker(self.own, *arguments, app="shop")
        try:
            yield worker
        finally:
            worker.stop()


@pytest.fixture(params=["redis", "rabbitmq"])
def shop(request, tmp_path, smtp_server):
    return Shop(tmp_path, broker_url(request.param), smtp_server)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_its_worker_finds_the_task_and_delivers_when_waked(shop, smtp_server, pool):
    with shop.worker(f"--pool={pool}", "--concurrency=1") as worker:
        assert "flasky.mail.deliver" in "".join(worker.log)
        for count in (1, 2):
            shop.python("-c", SEND)
            smtp_server.wait_for(count)


@pytest.mark.parametrize("shop", ["redis"], indirect=True)
def test_its_worker_delivers_from_its_start_also_what_nobody_wakes_it_for(shop, smtp_server):
    app = shop.folder / "shop" / "celery.py"
    app.write_text(
        APP.replace("autodiscover_tasks()", 'autodiscover_tasks(["shop"])')
    )  # Celery knows ours by the checks
    shop.python("-c", SEND, MAIL_DISPATCHER="none")
    with shop.worker("--concurrency=1"):
        smtp_server.wait_for(1)


def test_the_checks_leave_its_settings_to_it(shop):
    assert "no issues" in shop.python("-m", "django", "check", "--fail-level=WARNING")


@pytest.mark.parametrize(("dispatcher", "does"), [("celery", "delivers"), ("threads", "does not")])
def test_its_workers_deliver_only_if_the_settings_say_so(shop, dispatcher, does):
    assert shop.python("-c", PROCESS_OF_A_POOL, MAIL_DISPATCHER=dispatcher) == f"{does}\n"
