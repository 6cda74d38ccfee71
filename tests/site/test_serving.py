"""flasky.site.serving: a server with a wrong setting does not start."""

import pytest

from flasky.site.serving import refuse_wrong_settings


def test_right_settings_are_no_news(capsys):
    assert refuse_wrong_settings() is None
    assert capsys.readouterr() == ("", "")


def test_a_wrong_setting_stops_the_server_and_is_named(settings, capsys):
    settings.MAIL_PORT = 0
    with pytest.raises(SystemExit) as stopped:
        refuse_wrong_settings()
    assert stopped.value.code == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Flasky does not start:\n")
    assert "MAIL_PORT is 0" in printed.err
    assert "HINT" in printed.err


def test_every_wrong_setting_is_named_at_once(settings, capsys):
    settings.MAIL_PORT = 0
    settings.MAIL_USE_TLS = settings.MAIL_USE_SSL = True
    settings.FLASKY_ADMIN = ["nobody"]
    with pytest.raises(SystemExit):
        refuse_wrong_settings()
    printed = capsys.readouterr().err
    for name in ("MAIL_PORT", "MAIL_USE_TLS", "FLASKY_ADMIN"):
        assert name in printed


def test_a_warning_does_not_stop_the_server(settings, capsys):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.console.EmailBackend"
    assert refuse_wrong_settings() is None
    assert capsys.readouterr().err == ""


def test_an_error_that_somebody_silenced_does_not_stop_the_server(settings):
    settings.MAIL_PORT = 0
    settings.SILENCED_SYSTEM_CHECKS = [*settings.SILENCED_SYSTEM_CHECKS, "flasky.E003"]
    assert refuse_wrong_settings() is None
