"""flasky.site.spelling: a variable that nobody reads is found, with the one that was meant."""

import pytest

from flasky.site import spelling
from flasky.site.spelling import check_names_of_variables


@pytest.fixture
def found(monkeypatch):
    def find(in_file=(), **environment):
        monkeypatch.setattr(spelling, "NAMES_IN_ENV_FILE", list(in_file))
        monkeypatch.setattr(spelling, "ENVIRONMENT", environment)
        return check_names_of_variables()

    return find


MISTYPED = [
    ("MAIL_SEVER", "MAIL_SERVER"),
    ("MAIL_PROT", "MAIL_PORT"),
    ("MAIL_USETLS", "MAIL_USE_TLS"),
    ("FLASKY_ADMINS", "FLASKY_ADMIN"),
    ("FLASKY_SITE_URI", "FLASKY_SITE_URL"),
    ("mail_server", "MAIL_SERVER"),
    ("MIAL_SERVER", "MAIL_SERVER"),
    ("DATABSE_URL", "DATABASE_URL"),
    ("ALLOWED_HOST", "ALLOWED_HOSTS"),
    ("MAIL_HOST", "MAIL_SERVER"),
    ("MAIL_DEFAULT_SENDER", "FLASKY_MAIL_SENDER"),
]


@pytest.mark.parametrize(("name", "meant"), MISTYPED)
def test_a_mistyped_variable_is_found_with_the_nearest_name(found, name, meant):
    for [warning] in (found(**{name: "x"}), found([name], **{name: "x"})):
        assert warning.id == "flasky.W052"
        assert f"{name} is set in" in warning.msg
        assert f"Did you mean {meant}?" in warning.hint


@pytest.mark.parametrize(
    ("name", "meant"), [("DEUBG", "DEBUG"), ("TIMEZONE", "TIME_ZONE"), ("EMAIL_HOST", "MAIL_SERVER")]
)
def test_what_could_be_another_programs_is_looked_for_in_our_file_only(found, name, meant):
    assert found(**{name: "x"}) == []
    [warning] = found([name], **{name: "x"})
    assert f"Did you mean {meant}?" in warning.hint


def test_a_name_like_ours_that_resembles_none_is_said_of_our_file(found):
    [warning] = found(["MAIL_QUOTA_OF_ALL"], MAIL_QUOTA_OF_ALL="x")
    assert warning.hint == "docs/settings.md has all there are, or remove MAIL_QUOTA_OF_ALL."


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "LANGUAGE", "MAIL", "MAILCHECK", "HTTP_PROXY", "DATABASE_USER", "MAIL_SERVICE_HOST"),
        *("MAIL_PORT_25_TCP", "POSTGRES_PASSWORD", "SECRET_KEY_BASE", "TEST_DATABASE_URL", "MAIL_SERVER"),
        "ANYMAIL_MAILGUN_API_KEY",
    ],
)
def test_other_programs_variables_are_let_alone(found, name):
    assert found(**{name: "x"}) == []


def test_a_variable_that_is_twice_in_the_file_is_named_once(found):
    [warning] = found(["DEBUG", "MAIL_PORT", "DEBUG", "DEBUG"])
    assert (warning.id, warning.msg.split(" ")[0]) == ("flasky.W053", "DEBUG")
