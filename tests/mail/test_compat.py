"""flasky.mail.compat: the same on every Django."""

import logging
import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.mail import EmailMessage, mail_admins, mail_managers, send_mass_mail
from django.core.mail.backends.smtp import EmailBackend as SmtpEmailBackend
from django.db import DatabaseError, connection

from flasky.mail import compat
from flasky.mail.backend import OutboxEmailBackend
from flasky.mail.conf import TRANSPORTS
from flasky.mail.models import OutboxMessage
from flasky.mail.transports import SmtpTransport, new_transport
from tests.conftest import all_mail_goes_to

only_with_mailers = pytest.mark.skipif(not compat.HAS_MAILERS, reason="this Django has no MAILERS")


@pytest.mark.django_db
def test_every_way_to_send_leads_into_the_outbox():
    EmailMessage("One", "text", None, ["b@example.com"]).send()
    send_mass_mail([("Two", "text", None, ["b@example.com"])])
    mail_admins("Three", "text")
    mail_managers("Four", "text")
    assert OutboxMessage.objects.count() == 4
    assert mail.outbox == []


@pytest.fixture
def report_error():
    """Log an error as Django does when a page fails."""
    [handler] = [each for each in logging.getLogger("django").handlers if hasattr(each, "reporter_class")]
    handler.filters, filters = [], handler.filters
    yield lambda: handler.handle(logging.makeLogRecord({"msg": "It broke", "levelname": "ERROR"}))
    handler.filters = filters


@pytest.mark.django_db
def test_an_error_is_mailed_through_the_outbox(report_error):
    report_error()
    assert OutboxMessage.objects.get().subject == "[Flasky] ERROR: It broke"


@pytest.mark.django_db
def test_an_error_that_cannot_be_mailed_stops_no_page(report_error, caplog):
    def fail(*arguments):
        raise DatabaseError("the disk is full")

    with connection.execute_wrapper(fail):
        report_error()
    assert "No mail tells of this error (the disk is full)" in caplog.text


class OwnRelay(SmtpEmailBackend):
    """A class by its dotted path, as somebody writes who logs in another way."""


@pytest.mark.parametrize("path", ["django.core.mail.backends.smtp.EmailBackend", f"{__name__}.OwnRelay"])
def test_the_transport_is_made_with_our_settings(settings, path):
    settings.MAIL_TRANSPORT, settings.MAIL_SERVER, settings.MAIL_PORT = path, "relay.test", 2525
    settings.MAIL_USERNAME, settings.MAIL_PASSWORD, settings.MAIL_TIMEOUT = "ann", "secret", 7
    settings.MAIL_USE_TLS = True
    transport, backend = new_transport(), new_transport().backend
    assert isinstance(transport, SmtpTransport)
    assert (backend.host, backend.port, backend.timeout) == ("relay.test", 2525, 7)
    assert (backend.username, backend.password, backend.use_tls, backend.use_ssl) == ("ann", "secret", True, False)


def test_the_transport_file_writes_where_our_setting_says(settings, tmp_path):
    settings.MAIL_TRANSPORT, settings.MAIL_FILE_PATH = "file", tmp_path / "sent"
    assert new_transport().backend.send_messages([EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"])])
    assert len(list((tmp_path / "sent").iterdir())) == 1


def test_mail_can_be_led_past_the_outbox(settings):
    all_mail_goes_to(settings, TRANSPORTS["locmem"])
    EmailMessage("Hi", "Hello", None, ["b@example.com"]).send()
    assert len(mail.outbox) == 1


def test_people_are_found_however_this_django_names_them():
    assert compat.addresses_of(django_settings.ADMINS) == ["admin@example.com"]
    assert compat.addresses_of([("Ann", "a@example.com"), "b@example.com"]) == ["a@example.com", "b@example.com"]


def test_the_project_starts_without_a_warning():
    script = "import django; django.setup(); from django.urls import resolve; resolve('/')"
    command = [sys.executable, "-W", "error", "-c", script]
    finished = subprocess.run(command, timeout=60, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


@only_with_mailers
def test_one_alias_is_the_outbox_and_one_the_transport(settings):
    settings.MAIL_TRANSPORT = "smtp"
    assert isinstance(mail.mailers.default, OutboxEmailBackend)
    assert isinstance(mail.mailers["transport"], SmtpEmailBackend)
    assert not any(hasattr(django_settings, name) for name in ("EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_TIMEOUT"))


@only_with_mailers
def test_an_option_that_nobody_knows_is_refused(settings):
    settings.MAILERS = {"default": {"BACKEND": settings.OUTBOX, "OPTIONS": {"hots": "relay.test"}}}
    with pytest.raises(mail.InvalidMailer, match="hots"):
        _ = mail.mailers.default
