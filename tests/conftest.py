import os
import ssl
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from django.core import mail
from django.db import connection
from django.utils import translation
from hypothesis import settings as rules
from playwright.sync_api import Error, sync_playwright

from flasky.guard import limits
from flasky.mail import transports
from flasky.mail.compat import HAS_MAILERS
from flasky.mail.runtime import clock
from flasky.mail.transports import smtp
from tests.browser import FLAGS, another_host, chromium
from tests.databases import drop_databases, end_sessions
from tests.shell import close_shell
from tests.smtp_server import SmtpServer

ROOT = Path(__file__).parent
# What takes longest, the longest first: whichever began last would be waited for alone.
LONGEST = (
    "drill/",
    "mail/dispatchers/",
    "journeys/test_journey.py",
    "foreign/",
    "fuzz/",
    "journeys/",
    "mail/test_djangos_own.py",
    "test_settings.py",
    "site/",
    "docs/",
)
# What `make test` leaves to `make test-long`, but for its main roads: what starts many servers, browsers or Pythons, or
# waits for time-outs, and long tables of cases. Before adding to it, look whether the test can be made short.
LONG = (
    "accounts/test_hostile_names.py",
    "benchmarks/",
    "docs/test_commands.py",
    "docs/test_python.py",
    "docs/test_settings.py",
    "drill/",
    "faults/test_canaries.py",
    "foreign/",
    "fuzz/",
    "guard/test_behind_nginx.py",
    "guard/test_servers.py",
    "journeys/",
    "mail/delivery/test_alarms.py",
    "mail/delivery/test_every_message_ends.py",
    "mail/delivery/test_relay_table.py",
    "mail/dispatchers/",
    "mail/migrating/test_table_locks.py",
    "mail/test_djangos_own.py",
    "mail/transports/test_every_provider.py",
    "mail/transports/test_in_time.py",
    "mail/web/test_plain_admin.py",
    "mail/web/test_words.py",
    "mail/wire/test_shapes_at_providers.py",
    "site/test_database_away.py",
    "site/test_outbox_before.py",
    "steps/",
    "test_deployment.py",
    "test_settings.py",
)

rules.register_profile("suite", deadline=None)  # a busy machine is no fault of the code
rules.register_profile("long", deadline=None, max_examples=10_000)  # for tests/fuzz; see tests/fuzz/amount.py
rules.load_profile("suite")


def pytest_configure():
    os.environ.pop("PYTEST_ADDOPTS", None)  # what this run was told is none of the projects' that tests start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Let no later test have the connection of one that was stopped in the middle of a statement."""
    try:
        return (yield)
    except BaseException:
        if is_in_a_statement(connection):
            connection.close()
        raise


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item):
    if _path(item).startswith(LONG) and not item.get_closest_marker("main_road"):
        item.add_marker("long")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: _turn(_path(item)))


def _turn(path):
    return next((turn for turn, beginning in enumerate(LONGEST) if path.startswith(beginning)), len(LONGEST))


def _path(item):
    return item.path.relative_to(ROOT).as_posix()


ONLY_LONG = ("tests/test_settings.py", "tests/site/test_database_away.py")  # whose lines no other process runs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Measure no coverage of the processes of long tests, but of some. Those of the main roads run the same lines."""
    with pytest.MonkeyPatch.context() as environment:
        if item.get_closest_marker("long") and _path(item) not in ONLY_LONG:
            environment.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        return (yield)


@pytest.fixture(autouse=True)
def nothing_left_over():
    """No test sees another's mail, language, connections or threads, nor what was learned of servers and clocks."""
    translation.deactivate()  # a page leaves its visitor's in the thread
    clock.forget()
    if connection.vendor != "sqlite":  # to ask costs a statement, which some test counts; and its clock is this one
        clock._last = clock._Measured(time.time(), time.time(), time.monotonic(), is_hosts=False)
    yield
    clock.forget()
    transports.close_kept()
    forget_the_servers()
    limits._full.clear()
    mail.outbox = []
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("mail")]
    assert not left, f"threads outlived their test: {left}"


def forget_the_servers():
    """Another server may have the port of one that has gone."""
    for learned in (
        smtp._taking_announcements,
        smtp._heard_one_by_one,
        smtp._mails_per_connection,
        smtp._most_recipients,
    ):
        learned.clear()


def is_in_a_statement(connection):
    """Whether PostgreSQL, which takes one at a time, has not yet ended a statement."""
    if connection.vendor != "postgresql" or connection.connection is None:
        return False
    status = connection.connection.info.transaction_status
    return status is type(status).ACTIVE


@pytest.fixture(autouse=True, scope="session")
def nothing_left_on_the_machine():
    yield
    close_shell()
    drop_databases()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup):
    clock.TRUST = float("inf")  # or some test or other would have a statement more
    yield
    connection.close()
    end_sessions(connection.settings_dict["NAME"])


@pytest.fixture(autouse=True)
def mail_goes_through_the_outbox(settings):
    """Django's test runner puts locmem in its place, and tests would bypass it without a word."""
    all_mail_goes_to(settings, settings.OUTBOX)


def all_mail_goes_to(settings, backend):
    if HAS_MAILERS:
        # Django's tests have put locmem in the place of both.
        behind = {"BACKEND": "flasky.mail.transports.backends.by_our_settings"}
        settings.MAILERS = {"default": {"BACKEND": backend}, "transport": behind}
    else:
        settings.EMAIL_BACKEND = backend


@pytest.fixture
def smtp_server():
    with SmtpServer() as server:
        yield server


@pytest.fixture
def relay(smtp_server, settings):
    """An SMTP server that the project delivers to."""
    use_relay(settings, smtp_server)
    return smtp_server


def use_relay(settings, server, **options):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    settings.MAIL_SERVER = options.pop("host", "127.0.0.1")
    settings.MAIL_PORT = server.port
    settings.MAIL_TIMEOUT = 10
    for name, value in options.items():
        setattr(settings, name, value)


@pytest.fixture(scope="session")
def certificate_authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(certificate_authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    certificate_authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def tls_context(certificate_authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(ca_file, monkeypatch):
    """Trust the test authority the way a user would: SSL_CERT_FILE."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)


@pytest.fixture(scope="module")  # while it runs, Django takes this thread for one that must not wait for a database
def browser():
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        except Error:
            missing("Chromium")
        yield launched
        launched.close()


@pytest.fixture
def elsewhere():
    """Another host's web server."""
    with another_host() as server:
        yield server


def missing(what: str) -> None:
    """Skip because the machine has no `what`; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"{what} is not here")


@contextmanager
def running(worker):
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def wait_until(happened, timeout=60):
    """Return once `happened()`; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        threading.Event().wait(0.01)
