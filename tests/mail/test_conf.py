"""flasky.mail.conf: the project's value, else Django's, else the default."""

import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend

from flasky.mail.checks import check_types
from flasky.mail.compat import HAS_MAILERS
from flasky.mail.conf import NAMES, TRANSPORTS, Conf, conf
from flasky.mail.transports.backends import new_backend

DJANGOS = {
    "MAIL_SERVER": ("EMAIL_HOST", "host", "relay.test"),
    "MAIL_PORT": ("EMAIL_PORT", "port", 2525),
    "MAIL_USE_TLS": ("EMAIL_USE_TLS", "use_tls", True),
    "MAIL_USE_SSL": ("EMAIL_USE_SSL", "use_ssl", True),
    "MAIL_USERNAME": ("EMAIL_HOST_USER", "username", "ann"),
    "MAIL_PASSWORD": ("EMAIL_HOST_PASSWORD", "password", "hunter2"),
    "MAIL_TIMEOUT": ("EMAIL_TIMEOUT", "timeout", 7),
    "MAIL_FILE_PATH": ("EMAIL_FILE_PATH", "file_path", "/tmp/mail"),
}


@pytest.fixture
def bare(settings):
    """A project that has set none of our settings, and nothing of Django's for mail."""
    for name in NAMES:
        if hasattr(settings, name):
            delattr(settings, name)
    if HAS_MAILERS:
        settings.MAILERS = {"default": {"BACKEND": settings.OUTBOX}}
    else:
        for name, _, _ in DJANGOS.values():
            if hasattr(settings, name):
                delattr(settings, name)
    return settings


def tell_django(settings, name, *values):
    """Give Django's own setting the value of ours, or another."""
    djangos, option, value = *DJANGOS[name][:2], *(values or DJANGOS[name][2:])
    if HAS_MAILERS:
        transport = {"BACKEND": TRANSPORTS["smtp"], "OPTIONS": {option: value}}
        settings.MAILERS = {**settings.MAILERS, "transport": transport}
    else:
        setattr(settings, djangos, value)
    return f'MAILERS["transport"]["OPTIONS"]["{option}"]' if HAS_MAILERS else djangos


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_has_a_default(bare, name):
    if name.startswith("FLASKY_"):
        del bare.DEFAULT_FROM_EMAIL, bare.EMAIL_SUBJECT_PREFIX
    default = vars(Conf)[name].default
    expected = {"MAIL_TRANSPORT": TRANSPORTS["smtp"], "MAIL_DISPATCHER": "flasky.mail.dispatchers.threads"}
    assert getattr(conf, name) == expected.get(name, default)


@pytest.mark.parametrize("name", DJANGOS)
def test_what_the_project_has_told_django_of_its_relay_counts_and_is_named(bare, name):
    where = tell_django(bare, name)
    assert getattr(conf, name) == DJANGOS[name][2]
    assert conf.source(name) == where


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("MAIL_PORT", "2525", 2525),
        *[("MAIL_USE_TLS", value, True) for value in (1, "1", "true", "True", "yes", "on")],
        *[("MAIL_USE_TLS", value, False) for value in (0, "")],
    ],
)
def test_what_django_takes_from_an_environment_is_taken_here_too(bare, name, value, meant):
    tell_django(bare, name, value)
    assert (getattr(conf, name), type(getattr(conf, name))) == (meant, type(meant))
    assert list(check_types()) == []


@pytest.mark.parametrize(("name", "value"), [("MAIL_PORT", "smtp"), ("MAIL_USE_TLS", "False"), ("MAIL_USE_TLS", "no")])
def test_what_django_would_take_for_something_else_is_found(bare, name, value):
    where = tell_django(bare, name, value)
    [found] = check_types()
    assert found.msg.startswith(f"{where} is {value!r}")


@pytest.mark.parametrize("name", DJANGOS)
def test_a_setting_of_ours_wins_over_djangos(bare, name):
    tell_django(bare, name)
    setattr(bare, name, "ours")
    assert (getattr(conf, name), conf.source(name)) == ("ours", name)


def test_sender_and_prefix_are_djangos_unless_the_project_has_others(bare):
    bare.DEFAULT_FROM_EMAIL, bare.EMAIL_SUBJECT_PREFIX = "Shop <shop@example.com>", "[Shop] "
    assert conf.FLASKY_MAIL_SENDER == "Shop <shop@example.com>"
    assert conf.FLASKY_MAIL_SUBJECT_PREFIX == "[Shop]"  # a space follows it
    assert conf.source("FLASKY_MAIL_SENDER") == "DEFAULT_FROM_EMAIL"
    bare.FLASKY_MAIL_SENDER = "Other <other@example.com>"
    assert (conf.FLASKY_MAIL_SENDER, conf.source("FLASKY_MAIL_SENDER")) == (
        "Other <other@example.com>",
        "FLASKY_MAIL_SENDER",
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *TRANSPORTS.items(),
        ("mailgun", "anymail.backends.mailgun.EmailBackend"),
        ("my.own.Backend", "my.own.Backend"),
    ],
)
def test_a_transport_is_a_short_name_a_provider_or_a_path(settings, name, path):
    settings.MAIL_TRANSPORT = name
    assert path == conf.MAIL_TRANSPORT


@pytest.mark.parametrize(
    ("name", "path"),
    [("inline", "flasky.mail.dispatchers.inline"), ("wakers", "wakers"), ("my.own.wakers", "my.own.wakers")],
)
def test_only_the_four_dispatchers_have_a_short_name(settings, name, path):
    settings.MAIL_DISPATCHER = name
    assert path == conf.MAIL_DISPATCHER


def test_a_back_end_without_a_time_limit_gets_one(bare):
    tell_django(bare, "MAIL_SERVER")
    backend = new_backend()
    assert isinstance(backend, SmtpEmailBackend)
    assert (backend.host, backend.timeout) == ("relay.test", 30)


def test_the_sites_defaults_are_those_of_the_app():
    """Each stands beside its name in both: these keep them one."""
    text = Path(django_settings.BASE_DIR, "flasky", "settings.py").read_text()
    read = dict(re.findall(r'^(MAIL_\w+|CELERY_\w+) = read\("\1", ([^,]+?)(?:, \w+)?\)', text, re.M))
    assert len(read) > 12
    assert {name: eval(value) for name, value in read.items()} == {name: vars(Conf)[name].default for name in read}
