"""flasky.mail.transports.provider_settings: what lacks is a check that names the variable, never a traceback."""

import os
import sys

import pytest
from django.core.checks import run_checks

from tests.mail.transports.test_every_provider import AWS, TAKEN, options

pytestmark = pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")


@pytest.fixture
def check(settings, monkeypatch):
    """A function that returns the checks' findings with these settings of a provider."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    for name, value in (
        AWS | {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    ).items():
        monkeypatch.setenv(name, value)

    def check(name, **changes):
        settings.MAIL_TRANSPORT = f"anymail.backends.{name}.EmailBackend"
        url = changes.pop("url", "https://api.example.com/")
        settings.ANYMAIL = {key: changes.get(key, value) for key, value in options(name, url).items()}
        settings.ANYMAIL = {key: value for key, value in settings.ANYMAIL.items() if value is not None}
        return {each.id: each for each in run_checks(tags=["mail"])}

    return check


NEEDED = {
    "brevo": ["API_KEY"],
    "mailersend": ["API_TOKEN"],
    "mailgun": ["API_KEY"],
    "mailjet": ["API_KEY", "SECRET_KEY"],
    "mailtrap": ["API_TOKEN"],
    "mandrill": ["API_KEY"],
    "postal": ["API_KEY", "API_URL"],
    "postmark": ["SERVER_TOKEN"],
    "resend": ["API_KEY"],
    "scaleway": ["SECRET_KEY", "PROJECT_ID"],
    "sendgrid": ["API_KEY"],
    "sparkpost": ["API_KEY"],
    "unisender_go": ["API_KEY", "API_URL"],
}


def test_no_provider_is_left_out():
    assert NEEDED.keys() | {"amazon_ses"} == TAKEN.keys()


@pytest.mark.parametrize("name", TAKEN)
def test_a_provider_that_has_what_it_needs_is_no_finding(check, name):
    assert check(name) == {}


@pytest.mark.parametrize("name", NEEDED)
def test_what_a_provider_needs_is_named_when_it_is_missing_or_cannot_be(check, name):
    for variable in (f"{name.upper()}_{each}" for each in NEEDED[name]):
        assert f"ANYMAIL_{variable}" in check(name, **{variable: None})["flasky.E010"].hint
        for value in ("", " ", "two words", "line\nend", "ключ", 17):
            if not (variable.endswith("URL") and value == 17):  # which Anymail itself refuses
                error = check(name, **{variable: value})["flasky.E042"]
                assert f"ANYMAIL_{variable}" in error.msg
                assert variable.endswith("URL") or str(value).strip() not in error.msg or not str(value).strip()


@pytest.mark.parametrize("url", ["api.example.com", "ftp://api.example.com/", "https://", "https://[", "http://h:x/"])
def test_a_url_that_is_none_is_named(check, url):
    assert "ANYMAIL_POSTMARK_API_URL" in check("postmark", url=url)["flasky.E042"].msg


def test_a_region_that_is_missing_is_named(check, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "AWS_DEFAULT_REGION" in check("amazon_ses")["flasky.E042"].hint
    assert check("amazon_ses", AMAZON_SES_CLIENT_PARAMS={"region_name": "eu-central-1"}) == {}


def test_half_a_key_is_named(check):
    half = {"aws_access_key_id": "key"}
    assert "AWS_SECRET_ACCESS_KEY" in check("amazon_ses", AMAZON_SES_CLIENT_PARAMS=half)["flasky.E042"].msg


def test_a_profile_that_is_not_there_is_named(check, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    finding = check("amazon_ses", AMAZON_SES_SESSION_PARAMS={})["flasky.E042"]
    assert "nobody" in finding.msg


@pytest.mark.parametrize(
    ("module", "extra"), [("anymail", "flasky-mail[anymail]"), ("boto3", "django-anymail[amazon-ses]")]
)
def test_a_package_that_is_missing_is_named(check, monkeypatch, module, extra):
    for name in [each for each in sys.modules if each.startswith(f"{module}.") or each.endswith(".amazon_ses")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    error = check("amazon_ses")["flasky.E041"]
    assert (module in error.msg, extra in error.hint) == (True, True)
