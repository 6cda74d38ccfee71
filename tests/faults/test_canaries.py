"""No secret gets out: a canary sits in every setting and every variable, and is looked for wherever the site speaks.

The settings are listed here by the code that reads them. A new variable fails the first test until somebody has said
whether it may be shown; a new setting has its canary by itself.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from django.conf import settings as site_settings
from django.test import RequestFactory

from flasky.faults import report, secrets
from flasky.faults.report import Report
from flasky.faults.secrets import HARMLESS, NO_SECRETS, SECRET_NAME, hide
from tests.running_site import Site, Visitor

ROOT = Path(__file__).parents[2]
READ = re.findall(r'\bread(?:_database)?\("([A-Z_]+)", .*', (ROOT / "flasky/settings.py").read_text("utf-8"))
CANARY = "canary-that-must-not-be-heard"

# What each variable becomes: a value that works, with the canary where a secret would be.
CANARIES = {
    "SECRET_KEY": f"{CANARY}-1-and-so-long-that-it-keeps-people-out",
    "SECRET_KEY_FALLBACKS": f"{CANARY}-2-and-so-long-that-it-keeps-people-out",
    "MAIL_USERNAME": f"{CANARY}-3",
    "MAIL_PASSWORD": f"{CANARY}-4",
    "MAIL_METRICS_TOKEN": f"{CANARY}-5",
    "CELERY_BROKER_URL": f"amqp://flasky:{CANARY}-6@127.0.0.1:1//",
    "RESERVED_NAMES": f"{CANARY}-7",
}
# Those that no setting reads: of providers, and of whatever else a machine has.
OTHERS = {
    "ANYMAIL_MAILGUN_API_KEY": f"{CANARY}-8",
    "ANYMAIL_WEBHOOK_SECRET": f"user:{CANARY}-9",
    "ANYMAIL_AMAZON_SES_CLIENT_PARAMS": f'{{"aws_secret_access_key": "{CANARY}-10"}}',
    "AWS_SECRET_ACCESS_KEY": f"{CANARY}-11",
    "OF_SOMETHING_ELSE": f"{CANARY}-12",
}
# Names of hosts, people and files that are shown on purpose, and what is chosen from a list.
SHOWN = {
    *("ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "FORWARDED_ALLOW_IPS", "LOG_FORMAT", "DATABASE_URL"),
    *("MAIL_SERVER", "MAIL_EHLO_NAME", "MAIL_TRANSPORT", "MAIL_DISPATCHER", "CELERY_TASK_DEFAULT_QUEUE"),
    *("FLASKY_SITE_URL", "LANGUAGE_CODE", "TIME_ZONE"),
    *("FLASKY_ADMIN", "FLASKY_MAIL_SENDER", "FLASKY_MAIL_SUBJECT_PREFIX"),
}
NO_TEXT = re.compile(r'"([A-Z_]+)", [^\n]*, (?:switch|whole_numbers?|positive_number)\)')


def test_of_every_variable_it_is_known_whether_it_may_be_shown():
    numbers = set(NO_TEXT.findall((ROOT / "flasky/settings.py").read_text("utf-8")))
    assert set(READ) == CANARIES.keys() | SHOWN | numbers


# Reports


def with_canary(name, value):
    """Return the setting's value with a canary of its own in it."""
    canary = f"{CANARY}-{name}-"
    if isinstance(value, dict):
        return {**value, "password": canary, "other": {"inner": canary}}
    if isinstance(value, (list, tuple)):
        return [*value, canary]
    return canary if value is None or isinstance(value, (str, Path)) else value


@pytest.fixture
def every_setting(monkeypatch):
    """Every setting that there is, Django's own included, as the reports see it."""
    names = [name for name in dir(site_settings) if name.isupper() and name not in HARMLESS]
    found = {name: with_canary(name, getattr(site_settings, name)) for name in names}
    found |= {"OF_A_LATER_VERSION": CANARY, "TOKEN_OF_A_LATER_VERSION": f"{CANARY}-TOKEN_OF_A_LATER_VERSION-"}
    harmless = {name: getattr(site_settings, name) for name in HARMLESS if hasattr(site_settings, name)}
    namespace = SimpleNamespace(**{**found, **harmless, "DEBUG": True, "BASE_DIR": site_settings.BASE_DIR})
    monkeypatch.setattr(report, "settings", namespace)
    monkeypatch.setattr(secrets, "settings", namespace)
    return found


def reports_of(error):
    request = RequestFactory().get("/", SECRET_OF_THE_SERVER=CANARY, HTTP_COOKIE=f"sessionid={CANARY}")
    try:
        raise error
    except Exception:
        made = Report(request, *sys.exc_info())
        return made.get_traceback_html(), made.get_traceback_text()


def test_no_setting_is_on_a_debug_page_or_in_an_error_mail(every_setting):
    assert len(every_setting) > 150
    for text in reports_of(ValueError("nothing in it")):
        assert "nothing in it" in text
        assert CANARY not in text


def test_no_secret_that_an_error_quotes_is_there_either(every_setting):
    quoted = [name for name in every_setting if SECRET_NAME.search(name) and name not in NO_SECRETS]
    assert len(quoted) > 10
    for name in quoted:
        assert f"{CANARY}-{name}-" not in hide(f"It was {every_setting[name]!r}."), name
    for text in reports_of(ValueError(" ".join(str(every_setting[name]) for name in quoted))):
        assert CANARY not in text


# A site that serves


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """Everything that a site with canaries says, by where it says it."""
    site = Site(tmp_path_factory.mktemp("site"), PROMETHEUS_DISABLE_CREATED_SERIES="1", **CANARIES, **OTHERS)
    heard = {}
    with site:
        visitor = Visitor(site)
        heard["page"] = visitor.submit("Ann").text
        for path in ("/healthz", "/readyz", "/nowhere", "/admin/login/", "/mailbox/"):
            heard[path] = visitor.get(path).text
        token = {"Authorization": f"Bearer {CANARIES['MAIL_METRICS_TOKEN']}"}
        heard["refused metrics"] = visitor.get("/metrics").text
        heard["metrics"] = requests.get(f"{site.url}/metrics", headers=token, timeout=60).text
        heard["failed log-in"] = visitor.post("/admin/login/", username="Ann", password="x").text
        heard["headers"] = str(visitor.get("/").headers)
        heard["processes"] = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        heard["messages"] = site.shell("print([vars(message) for message in OutboxMessage.objects.all()])")
    heard["log"] = "".join(site.log)
    for command in ("check --deploy", "check --database default", "sendtestemail ann@example.com", "deliver_mail"):
        finished = subprocess.run(
            [sys.executable, "manage.py", *command.split()],
            env=site.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        heard[command] = finished.stdout + finished.stderr
    return heard


def test_no_canary_is_heard_from_a_site_that_serves(heard):
    assert "flasky_mail_stored" in heard["metrics"] or find_spec("prometheus_client") is None
    assert "Hello, Ann" in heard["page"]
    assert "New User" in heard["messages"]
    assert "gunicorn" in heard["processes"]
    assert "MAIL_SERVER" in heard["sendtestemail ann@example.com"]
    assert [place for place, text in heard.items() if CANARY in text] == []


def test_a_setting_that_is_wrong_is_named_and_a_secret_in_it_is_not(tmp_path):
    wrong = {"DATABASE_URL": f"postgres://ann:{CANARY}@host:port/name", "SECRET_KEY": CANARY}
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "flasky.settings", "ENV_FILE": os.devnull, **wrong}
    command = [sys.executable, "-m", "gunicorn", "flasky.wsgi", "--bind", "127.0.0.1:0", "--workers", "1"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert finished.returncode != 0
    assert "DATABASE_URL" in finished.stderr
    assert "flasky.E050" in finished.stderr
    assert CANARY not in finished.stderr + finished.stdout
