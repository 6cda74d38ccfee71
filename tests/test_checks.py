"""flasky.mail.checks: every impossible value has an id and a hint."""

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError


def found():
    return {message.id: message for message in run_checks() if message.id.startswith("flasky.")}


def test_the_defaults_are_right(settings):
    settings.MAIL_TRANSPORT = settings.TRANSPORTS["smtp"]
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"UNREADABLE_SETTINGS": [("MAIL_PORT", "x", "a whole number")]}, "flasky.E001"),
        ({"EMAIL_USE_TLS": True, "EMAIL_USE_SSL": True}, "flasky.E002"),
        ({"EMAIL_PORT": 0}, "flasky.E003"),
        ({"EMAIL_PORT": 65536}, "flasky.E003"),
        ({"EMAIL_HOST": "smtp://relay.test"}, "flasky.E004"),
        ({"EMAIL_HOST": "relay .test"}, "flasky.E004"),
        ({"EMAIL_HOST_USER": "ann"}, "flasky.E005"),
        ({"EMAIL_HOST_PASSWORD": "hunter2"}, "flasky.E005"),
        ({"EMAIL_TIMEOUT": 0}, "flasky.E006"),
        ({"MAIL_WORKERS": 0}, "flasky.E006"),
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
        ({"MAIL_DISPATCHER": "flasky.mail.wire"}, "flasky.E011"),
        ({"EMAIL_HOST": "relay.test", "EMAIL_HOST_USER": "a", "EMAIL_HOST_PASSWORD": "b"}, "flasky.W001"),
        ({"MAIL_TRANSPORT": "django.core.mail.backends.console.EmailBackend"}, "flasky.W002"),
    ],
)
def test_a_value_that_cannot_work_is_found(changes, finding, settings):
    settings.MAIL_TRANSPORT = settings.TRANSPORTS["smtp"]
    for name, value in changes.items():
        setattr(settings, name, value)
    assert list(found()) == [finding]
    assert found()[finding].hint


@pytest.mark.parametrize(("typed", "meant"), [("stmp", "smtp"), ("mailgan", "mailgun"), ("brewo", "brevo")])
def test_a_typing_error_gets_a_suggestion(settings, typed, meant):
    settings.MAIL_TRANSPORT = f"anymail.backends.{typed}.EmailBackend"
    assert f"Did you mean {meant}?" in found()["flasky.E009"].hint


def test_no_finding_shows_a_password(settings):
    settings.EMAIL_HOST_PASSWORD = "hunter2"
    assert "hunter2" not in str(found())


def test_a_login_to_this_machine_needs_no_encryption(settings):
    settings.MAIL_TRANSPORT = settings.TRANSPORTS["smtp"]
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "ann", "secret"
    assert found() == {}


def test_a_provider_with_its_key_is_accepted(settings):
    settings.MAIL_TRANSPORT = "anymail.backends.mailgun.EmailBackend"
    settings.ANYMAIL = {"MAILGUN_API_KEY": "key"}
    assert found() == {}


def test_a_command_reports_it_before_the_first_mail_does(settings):
    settings.EMAIL_PORT = 0
    with pytest.raises(SystemCheckError, match=r"MAIL_PORT is 0; ports go from 1 to 65535"):
        call_command("sendtestemail", "ann@example.com", skip_checks=False)
