"""flasky.mail.checks: every impossible value has an id and a hint."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from flasky.mail.checks import check_delivery
from flasky.mail.compat import HAS_MAILERS
from flasky.mail.conf import DISPATCHERS, NAMES, TRANSPORTS, Conf
from flasky.mail.db.connections import drop_connection
from flasky.mail.models import OutboxMessage, RelayOutage
from tests.conftest import all_mail_goes_to
from tests.databases import ONLY_READS, empty_database

CELERY = DISPATCHERS["celery"]
SENDS = 'MAILERS["default"]' if HAS_MAILERS else "EMAIL_BACKEND"


def found():
    return {message.id: message for message in run_checks(databases=[]) if message.id.startswith("flasky.")}


def test_the_defaults_are_right(settings):
    settings.MAIL_TRANSPORT = "smtp"
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"MAIL_DIGEST_AFTER": -1}, "flasky.E006"),
        ({"MAIL_DIGEST_WINDOW": 0}, "flasky.E006"),
        ({"MAIL_DIGEST_WAIT": 0}, "flasky.E006"),
        ({"MAIL_DIGEST_WAIT": 20, "MAIL_DIGEST_AFTER": 5}, "flasky.W012"),
        ({"UNREADABLE_SETTINGS": [("MAIL_PORT", "x", "a whole number")]}, "flasky.E001"),
        ({"MAIL_USE_TLS": True, "MAIL_USE_SSL": True}, "flasky.E002"),
        ({"MAIL_PORT": 0}, "flasky.E003"),
        ({"MAIL_PORT": 65536}, "flasky.E003"),
        ({"MAIL_SERVER": "smtp://relay.test"}, "flasky.E004"),
        ({"MAIL_SERVER": "relay .test"}, "flasky.E004"),
        ({"MAIL_SERVER": "relay..test"}, "flasky.E004"),
        ({"MAIL_SERVER": "relay.test:587"}, "flasky.E004"),
        ({"MAIL_USERNAME": "ann", "MAIL_PASSWORD": "pass\0word"}, "flasky.E012"),
        ({"MAIL_TRANSPORT": "flasky.mail.backend.OutboxEmailBackend"}, "flasky.E013"),
        ({"MAIL_SERVER": "a,b"}, "flasky.E004"),
        ({"USE_TZ": False}, "flasky.E017"),
        ({"MAIL_SERVER": "user@relay.test"}, "flasky.E004"),
        ({"MAIL_SERVER": "x" * 64 + ".test"}, "flasky.E004"),
        ({"ALLOWED_HOSTS": ["https://x.test"]}, "flasky.E014"),
        ({"ALLOWED_HOSTS": ["x.test:80"]}, "flasky.E014"),
        ({"ALLOWED_HOSTS": []}, "flasky.W004"),
        ({"CSRF_TRUSTED_ORIGINS": ["https://x.test/"]}, "flasky.E015"),
        ({"MAIL_TRANSPORT": ".."}, "flasky.E009"),
        ({"MAIL_DISPATCHER": "."}, "flasky.E011"),
        ({"MAIL_DISPATCHER": "..threads"}, "flasky.E011"),
        ({"MAIL_USERNAME": "ann"}, "flasky.E005"),
        ({"MAIL_PASSWORD": "hunter2"}, "flasky.E005"),
        ({"MAIL_TIMEOUT": 0}, "flasky.E006"),
        ({"MAIL_WORKERS": 0}, "flasky.E006"),
        ({"MAIL_RATE": 0.0001}, "flasky.E006"),
        ({"MAIL_MAX_RECIPIENTS": -1}, "flasky.E006"),
        ({"MAIL_BUDGET_HELD": -1}, "flasky.E006"),
        ({"MAIL_BUDGET_TOTAL": "30,200"}, "flasky.E032"),
        ({"MAIL_BUDGET_RECIPIENT": (30, 200, 1000, 5000)}, "flasky.E044"),
        ({"MAIL_BUDGET_KIND": (-1,)}, "flasky.E044"),
        ({"MAIL_BUDGET_TOTAL": (1.5,)}, "flasky.E044"),
        ({"MAIL_BUDGET_URGENT": ("30",)}, "flasky.E044"),
        ({"MAIL_MAX_CONNECTIONS": 10_001}, "flasky.E006"),
        ({"MAIL_WORKERS": 101}, "flasky.E006"),
        ({"MAIL_GIVE_UP_DAYS": 0}, "flasky.E006"),
        ({"MAIL_MAX_SIZE": 1}, "flasky.E006"),
        ({"FLASKY_ADMIN": ["ann@example.com", "bob"]}, "flasky.E007"),
        ({"FLASKY_MAIL_SENDER": "Flasky"}, "flasky.E007"),
        ({"FLASKY_MAIL_SUBJECT_PREFIX": "[Flasky]\nBcc: eve@example.com"}, "flasky.E008"),
        ({"MAIL_TRANSPORT": "anymail.backends.mailgunn.EmailBackend"}, "flasky.E009"),
        ({"MAIL_TRANSPORT": "django.core.mail.NoBackend"}, "flasky.E009"),
        ({"MAIL_TRANSPORT": "anymail.backends.mailgun.EmailBackend", "ANYMAIL": {}}, "flasky.E010"),
        ({"MAIL_DISPATCHER": "flasky.mail.dispatchers.thread"}, "flasky.E011"),
        ({"MAIL_DISPATCHER": "flasky.mail.wire.compose"}, "flasky.E011"),
        ({"MAIL_SERVER": "relay.test", "MAIL_USERNAME": "a", "MAIL_PASSWORD": "b"}, "flasky.W001"),
        *(({"MAIL_TRANSPORT": name}, "flasky.W002") for name in ("console", "file", "locmem", "dummy")),
        ({"MAIL_PORT": 465, "MAIL_USE_TLS": True}, "flasky.W009"),
        ({"MAIL_PORT": 587, "MAIL_USE_SSL": True}, "flasky.W009"),
    ],
)
def test_a_value_that_cannot_work_is_found(changes, finding, settings):
    settings.MAIL_TRANSPORT = "smtp"
    for name, value in changes.items():
        setattr(settings, name, value)
    assert list(found()) == [finding]
    assert found()[finding].hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "smtp.example.com", "bücher.example", "host_1."])
def test_a_host_name_or_address_is_accepted(settings, host):
    settings.MAIL_SERVER = host
    assert "flasky.E004" not in found()


@pytest.mark.parametrize("host", ["*", ".example.com", "www.example.com", "[::1]", "127.0.0.1"])
def test_a_site_of_its_own_is_accepted(settings, host):
    settings.ALLOWED_HOSTS = [host]
    assert "flasky.E014" not in found()


@pytest.mark.parametrize(("typed", "meant"), [("stmp", "smtp"), ("mailgan", "mailgun"), ("brewo", "brevo")])
def test_a_typing_error_gets_a_suggestion(settings, typed, meant):
    settings.MAIL_TRANSPORT = f"anymail.backends.{typed}.EmailBackend"
    assert f"Did you mean {meant}?" in found()["flasky.E009"].hint


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("SMTP", "smtp"),
        ("django.core.mail.backends.smpt.EmailBackend", TRANSPORTS["smtp"]),
        ("django.core.mail.backends.smtp.EmialBackend", TRANSPORTS["smtp"]),
        ("django.core.mail.backends.console", TRANSPORTS["console"]),  # a module
    ],
)
def test_a_mistyped_path_gets_one_too(settings, typed, meant):
    settings.MAIL_TRANSPORT = typed
    assert found()["flasky.E009"].hint.endswith(f"Did you mean {meant}?")


@pytest.mark.parametrize(
    "typed",
    [
        "flasky.mail.backends.OutboxEmailBackend",
        "flasky.mail.backend.OutboxMailBackend",
        "flasky.mail.backend.EmailBackend",
        "flasky.mail.backend",
        "flasky_mail.backend.OutboxEmailBackend",
        "flasky.mail.OutboxEmailBackend",
    ],
)
def test_a_mistyped_outbox_is_found(settings, typed):
    all_mail_goes_to(settings, typed)
    error = found()["flasky.E033"]
    assert error.msg.startswith(f"{SENDS} is {typed}")
    assert error.hint == f"Did you mean {settings.OUTBOX}?"


@pytest.mark.parametrize("backend", ["django.core.mail.backends.smpt.EmailBackend", "shop.mail.Backend", 7])
def test_a_back_end_of_others_is_left_to_them(settings, backend):
    all_mail_goes_to(settings, backend)
    assert "flasky.E033" not in found()


def test_no_finding_shows_a_password(settings):
    settings.MAIL_PASSWORD = "hunter2"
    assert "hunter2" not in str(found())


@pytest.mark.parametrize("url", ["sqs://key:hunter2@", "redis:///", "localhost:6379/hunter2"])
def test_a_broker_needs_a_url_which_is_not_shown(settings, url):
    settings.MAIL_DISPATCHER, settings.CELERY_BROKER_URL = CELERY, url
    assert "amqp://user:password@" in found()["flasky.E016"].hint
    assert "hunter2" not in str(found())


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/0", "rediss://broker.test", "amqp://a:b@127.0.0.1:5672//"])
def test_the_url_of_a_broker_is_accepted(settings, url):
    settings.MAIL_DISPATCHER, settings.CELERY_BROKER_URL = CELERY, url
    assert "flasky.E016" not in found()


def test_a_broker_is_of_no_interest_to_the_other_dispatchers(settings):
    settings.CELERY_BROKER_URL = "nonsense"
    assert "flasky.E016" not in found()


def test_where_celery_is_missing_it_is_said_how_to_install_it(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "celery", None)
    monkeypatch.delitem(sys.modules, CELERY, raising=False)
    settings.MAIL_DISPATCHER = CELERY
    hint = found()["flasky.E011"].hint
    assert 'pip install "flasky-mail[celery]"' in hint
    assert "requirements-celery.txt" in hint


OWN_DISPATCHER = """
from django.core import checks
def wake(): pass
serve = stop = wake
"""


@pytest.fixture
def own_dispatcher(settings, tmp_path, monkeypatch):
    """Return a function that makes a dispatcher of somebody's own, with this code at its end."""
    monkeypatch.syspath_prepend(tmp_path)
    settings.MAIL_DISPATCHER = "own_dispatcher"
    yield lambda code: (tmp_path / "own_dispatcher.py").write_text(OWN_DISPATCHER + code, "utf-8")
    sys.modules.pop("own_dispatcher", None)


def test_a_dispatcher_of_ones_own_checks_the_settings_that_only_it_reads(own_dispatcher):
    own_dispatcher("def check(): return [checks.Error('OWN_QUEUE is missing.', hint='Set it.', id='flasky.own')]")
    assert found()["flasky.own"].msg == "OWN_QUEUE is missing."


def test_a_dispatcher_needs_no_check_of_its_own(own_dispatcher):
    own_dispatcher("")
    assert not [finding for finding in found() if finding.startswith("flasky.E")]


def test_a_check_that_fails_is_a_finding(own_dispatcher):
    own_dispatcher("def check(): yield 1 / 0")
    error = found()["flasky.E011"]
    assert error.msg == "MAIL_DISPATCHER leads to own_dispatcher, whose check() has failed: ZeroDivisionError: " + (
        "division by zero."
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def", "SyntaxError: invalid syntax (own.py, line 1)"),
        ("import os; os.environ['OWN_KEY']", "KeyError: 'OWN_KEY'"),
        ("spool = open('/no/such/file')", "FileNotFoundError: [Errno 2] No such file or directory: '/no/such/file'"),
        ("unknown", "NameError: name 'unknown' is not defined"),
        ("import not_there", "No module named 'not_there'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
@pytest.mark.parametrize(
    ("setting", "path", "finding"),
    [("MAIL_TRANSPORT", "own.Backend", "flasky.E009"), ("MAIL_DISPATCHER", "own", "flasky.E011")],
)
def test_a_module_of_ones_own_that_fails_is_named_with_its_setting_and_reason(
    settings, tmp_path, monkeypatch, setting, path, finding, code, reason
):
    (tmp_path / "own.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    setattr(settings, setting, path)
    error = found()[finding]
    assert error.msg == f"{setting} leads to {path}, which cannot be imported: {reason}."
    assert error.hint


def test_a_login_to_this_machine_needs_no_encryption(settings):
    settings.MAIL_TRANSPORT = "smtp"
    settings.MAIL_USERNAME, settings.MAIL_PASSWORD = "ann", "secret"
    assert found() == {}


def test_a_provider_with_its_key_is_accepted(settings):
    settings.MAIL_TRANSPORT = "anymail.backends.mailgun.EmailBackend"
    settings.ANYMAIL = {"MAILGUN_API_KEY": "key"}
    assert found() == {}


def test_a_command_reports_it_before_the_first_mail_does(db, settings):
    settings.MAIL_PORT = 0
    with pytest.raises(SystemCheckError, match=r"MAIL_PORT is 0; ports go from 1 to 65535"):
        call_command("sendtestemail", "ann@example.com", skip_checks=False)


def overdue_check():
    return [message for message in run_checks(databases=["default"]) if message.id == "flasky.W003"]


@pytest.fixture
def overdue_mail():
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    email.send()
    OutboxMessage.objects.update(next_attempt_at=timezone.now() - timedelta(hours=2, minutes=1))


@pytest.mark.django_db
def test_mail_that_nobody_delivers_is_found_where_the_database_is_checked(overdue_mail):
    [warning] = overdue_check()
    assert warning.msg == "1 message is overdue, the oldest by 2 hours. Nobody delivers, or not fast enough."
    for deliverer in ("the server", "manage.py deliver_mail --loop", "manage.py deliver_mail delivers once"):
        assert deliverer in warning.hint
    assert "flasky.W003" not in found()  # check without --database asks no database


@pytest.mark.django_db
def test_a_relay_that_is_away_is_named_as_the_cause(overdue_mail):
    RelayOutage.objects.note("relay.test:25", "relay.test is away.", timezone.now())
    [warning] = overdue_check()
    assert warning.msg.endswith("The mail server takes no mail.")
    assert "relay.test is away." in warning.hint


@pytest.mark.django_db
def test_mail_that_is_delivered_in_time_is_no_finding():
    EmailMessage("Hi", "Hello", "ann@example.com", ["bob@example.com"]).send()
    assert overdue_check() == []


@pytest.mark.django_db(transaction=True)
def test_a_database_that_only_reads_is_found_before_the_first_mail_is_lost_on_it(settings):
    settings.MAIL_MAX_SIZE = 1_000_000  # for which MariaDB has room, too
    assert check_delivery(databases=["default"]) == []
    connection.cursor().execute(ONLY_READS[connection.vendor])
    [warning] = check_delivery(databases=["default"])
    drop_connection()
    assert warning.id == "flasky.W005"
    assert "can be read, but takes no write" in warning.msg
    assert warning.hint.startswith("It is read-only. Look whether DATABASE_URL leads to a standby")
    assert check_delivery(databases=["default"]) == []


def test_before_the_first_migrate_nothing_is_found(tmp_path):
    url = empty_database(tmp_path)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "flasky.settings", "DATABASE_URL": url}
    command = [sys.executable, "manage.py", "check", "--database", "default"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (finished.returncode, "W003" in finished.stderr, "W005" in finished.stderr) == (0, False, False)


@pytest.mark.django_db
@pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_no_finding_of_ours(overdue_mail, failure):
    def away(*arguments):
        raise failure("it is away")

    with connection.execute_wrapper(away):
        assert check_delivery(databases=["default"]) == []


@pytest.mark.django_db(transaction=True)
def test_migrate_says_that_nobody_delivers(overdue_mail, capsys):
    call_command("migrate", skip_checks=False)
    assert "(flasky.W003) 1 message is overdue" in capsys.readouterr().err


def test_a_mistyped_setting_is_named_with_the_nearest(settings):
    settings.MAIL_SEVER = "smtp.example.com"
    finding = found()["flasky.W007"]
    assert finding.msg.startswith("MAIL_SEVER is set")
    assert "Did you mean MAIL_SERVER?" in finding.hint


def test_a_setting_that_resembles_none_of_ours_may_be_another_apps(settings):
    settings.MAIL_BOOKING_DESK = "desk@example.com"
    assert "flasky.W007" not in found()


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("FLASKY_")])
@pytest.mark.parametrize("value", [object(), ["4"], b"secret"])
def test_a_value_of_the_wrong_type_is_a_finding_and_no_traceback(settings, name, value):
    if name.startswith("CELERY_"):
        settings.MAIL_DISPATCHER = "celery"
    if isinstance(value, list) and isinstance(vars(Conf)[name].default, tuple):
        value = "4"
    setattr(settings, name, value)
    finding = found()["flasky.E032"]
    assert finding.msg.startswith(f"{name} is ")
    assert "secret" not in finding.msg or not name.endswith(("PASSWORD", "TOKEN", "URL"))


def test_the_broker_of_a_project_whose_mail_needs_none_may_be_given_in_any_way(settings):
    settings.CELERY_BROKER_URL = ["sqs://", "amqp://broker.test"]
    assert "flasky.E032" not in found()


@pytest.mark.skipif(not HAS_MAILERS, reason="this Django has no MAILERS")
def test_mailers_without_a_transport_are_told_what_to_add(settings):
    del settings.MAIL_TRANSPORT
    settings.MAILERS = {"default": {"BACKEND": settings.OUTBOX}}
    finding = found()["flasky.W008"]
    assert '"OPTIONS": {"host"' in finding.hint
