"""flasky.settings: what the environment and .env become. Each test starts a Python of its own, as a user would."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import missing

ROOT = Path(__file__).parents[1]

PROBE = """
import json, sys
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))
"""

WITHOUT_THE_DRIVER = """
import runpy, sys
sys.modules["MySQLdb"] = sys.modules["psycopg"] = None  # as if it was not installed
sys.argv = ["manage.py", "check"]
runpy.run_path("manage.py", run_name="__main__")
"""


@pytest.fixture
def run(tmp_path):
    """Run Python with these variables and no others of ours; return the finished process."""

    def run_python(*arguments, env_file="", **variables):
        path = tmp_path / ".env"
        path.write_bytes(env_file if isinstance(env_file, bytes) else env_file.encode())
        clean = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
        environment = {**clean, "DJANGO_SETTINGS_MODULE": "flasky.settings", "ENV_FILE": str(path), **variables}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run_python


@pytest.fixture
def values(run):
    def read(*names, **variables):
        finished = run("-c", PROBE, *names, **{"SECRET_KEY": "x", **variables})
        assert finished.returncode == 0, finished.stderr
        return [json.loads(finished.stdout)[name] for name in names]

    return read


@pytest.mark.main_road
def test_the_defaults_are_those_of_the_contract(values):
    relay = ("MAIL_SERVER", "MAIL_PORT", "MAIL_USE_TLS", "MAIL_USE_SSL", "MAIL_USERNAME", "MAIL_TIMEOUT")
    mail = ("FLASKY_ADMIN", "FLASKY_MAIL_SUBJECT_PREFIX", "FLASKY_MAIL_SENDER", "MAIL_TRANSPORT", "MAIL_DISPATCHER")
    names = (*relay, *mail, "MAIL_WORKERS", "DEBUG", "ALLOWED_HOSTS", "HTTPS")
    assert values(*names) == [
        "localhost",
        25,
        False,
        False,
        "",
        30,
        [],
        "[Flasky]",
        "Flasky Admin <flasky@example.com>",
        "smtp",
        "threads",
        4,
        False,
        [],
        True,
    ]


@pytest.mark.main_road
def test_the_env_file_is_read_and_the_environment_wins(values):
    env_file = "# a comment\n\nMAIL_SERVER=file.test\nexport MAIL_PORT=587\nMAIL_USE_TLS=on\n"
    assert values("MAIL_SERVER", "MAIL_PORT", "MAIL_USE_TLS", env_file=env_file, MAIL_SERVER="env.test") == [
        "env.test",
        587,
        True,
    ]


def test_the_last_line_of_a_name_counts(values):
    assert values("DEBUG", env_file="DEBUG=True\nDEBUG=False\n") == [False]


def test_what_the_readme_says_of_production_wins_over_what_make_run_wrote():
    """Whoever adds those lines to that file, or sets them in the environment, has a site in production."""
    example, readme = ((ROOT / name).read_text("utf-8") for name in (".env.example", "README.md"))
    written = re.findall(r"(?m)^([A-Z_]+)=", example)
    production = readme.partition("## Production")[2].partition("```dotenv\n")[2].partition("```")[0]
    assert {*written} <= {line.partition("=")[0] for line in production.splitlines()}
    assert "\nMAIL_TRANSPORT=smtp\n" in production
    assert production.startswith("DEBUG=False\n")


@pytest.mark.main_road
def test_a_mistyped_variable_is_said_by_every_command(run):
    finished = run("manage.py", "check", env_file="MAIL_SEVER=x\n", SECRET_KEY="x", FLASKY_ADMN="y")
    assert "MAIL_SEVER is set in" in finished.stderr
    assert "FLASKY_ADMN is set in the environment" in finished.stderr
    assert finished.stderr.count("Did you mean") == 2


def test_language_and_time_zone_come_from_the_environment(values):
    assert values("LANGUAGE_CODE", "TIME_ZONE", LANGUAGE_CODE="zh_Hans", TIME_ZONE="Asia/Shanghai") == [
        "zh-hans",
        "Asia/Shanghai",
    ]


@pytest.mark.parametrize("password", ["$ecret", "with space", "a#b", "p%40ss", "ünïcode", "'inner'x"])
def test_a_password_is_taken_literally(values, password):
    assert values("MAIL_PASSWORD", MAIL_PASSWORD=password) == [password]
    assert values("MAIL_PASSWORD", env_file=f"MAIL_PASSWORD={password}\n") == [password]


def test_a_file_from_a_windows_editor_is_read(values):
    assert values("MAIL_PORT", env_file=b"\xef\xbb\xbfMAIL_PORT=2525\r\nMAIL_SERVER=x\r\n") == [2525]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("ann@example.com", ["ann@example.com"]),
        (" ann@example.com, bob@example.com ,", ["ann@example.com", "bob@example.com"]),
        ('"Lee, Ann" <ann@example.com>', ['"Lee, Ann" <ann@example.com>']),
        ('"Ann \\"Q\\" Lee" <ann@example.com>', ['"Ann \\"Q\\" Lee" <ann@example.com>']),
        ("", []),
        ("nobody", ["nobody"]),
    ],
)
def test_several_administrators_are_separated_by_commas(values, text, addresses):
    assert values("FLASKY_ADMIN", FLASKY_ADMIN=text) == [addresses]


def test_anymails_settings_come_from_the_environment(values):
    [anymail] = values("ANYMAIL", ANYMAIL_MAILGUN_API_KEY="key", ANYMAIL_IGNORE_RECIPIENT_STATUS="True")
    assert anymail == {"MAILGUN_API_KEY": "key", "IGNORE_RECIPIENT_STATUS": True, "REQUESTS_TIMEOUT": 30}


@pytest.mark.parametrize(("text", "keys"), [("", []), ("old", ["old"]), ("old, older ,", ["old", "older"])])
def test_the_secret_keys_of_before_are_separated_by_commas(values, text, keys):
    assert values("SECRET_KEY_FALLBACKS", SECRET_KEY_FALLBACKS=text) == [keys]


def test_a_dictionary_of_anymails_is_json(values):
    [anymail] = values("ANYMAIL", ANYMAIL_AMAZON_SES_CLIENT_PARAMS='{"region_name": "eu-central-1"}')
    assert anymail["AMAZON_SES_CLIENT_PARAMS"] == {"region_name": "eu-central-1"}


def test_a_dictionary_that_is_no_json_is_reported_without_its_keys(values):
    [unreadable] = values("UNREADABLE_SETTINGS", ANYMAIL_AMAZON_SES_CLIENT_PARAMS='{"aws_secret_access_key": "s3cret"')
    assert unreadable == [["ANYMAIL_AMAZON_SES_CLIENT_PARAMS", "{…", "JSON, because it starts with {"]]


def logged(run, **variables):
    script = "import django, logging; django.setup(); logging.getLogger('x').warning('To %s', 'ann@example.com')"
    return run("-c", script, SECRET_KEY="x", **variables).stderr


def test_the_log_has_lines_or_json(run):
    assert logged(run) == "WARNING x: To a…@example.com\n"
    entry = json.loads(logged(run, LOG_FORMAT="json"))
    assert (entry["level"], entry["logger"], entry["message"]) == ("WARNING", "x", "To a…@example.com")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LOG_FORMAT", "xml", "line or json"),
        ("MAIL_PORT", "smtp", "a whole number"),
        ("MAIL_TIMEOUT", "-1", "a whole number"),
        ("MAIL_WORKERS", "4.5", "a whole number"),
        ("MAIL_BUDGET_KIND", "30,many", "whole numbers, with commas, such as 30,200,1000"),
        ("MAIL_RATE", "-1", "a number that is not negative, such as 20 or 0.5"),
        ("MAIL_RATE", "ten", "a number that is not negative, such as 20 or 0.5"),
        ("MAIL_RATE", "nan", "a number that is not negative, such as 20 or 0.5"),
        ("MAIL_RATE", "1e999", "a number that is not negative, such as 20 or 0.5"),
        ("CELERY_TASK_DEFAULT_QUEUE", "two words", "up to 200 letters, digits, dots, dashes and underscores"),
        ("MAIL_USE_TLS", "ture", "True or False"),
        ("DEBUG", "maybe", "True or False"),
        ("DATABASE_URL", "redis://localhost", "postgres://"),
        ("DATABASE_URL", "postgres://[x", "the database's name"),
        ("TIME_ZONE", "Europe/Berln", "a time zone, such as UTC or Europe/Berlin. Did you mean Europe/Berlin?"),
        ("TIME_ZONE", "Europe", "a time zone"),
        ("TIME_ZONE", "/etc/localtime", "a time zone"),
        ("TIME_ZONE", "+01:00", "a time zone"),
        ("LANGUAGE_CODE", "klingon", "en or zh-hans"),
        ("LANGUAGE_CODE", "zh_CN", "en or zh-hans. Did you mean zh-hans?"),
        ("FLASKY_SITE_URL", "www.example.com", "scheme and host, with nothing behind them"),
        ("FLASKY_SITE_URL", "https://www.example.com/flasky", "scheme and host, with nothing behind them"),
        ("FLASKY_SITE_URL", "https://www.example.com?x", "scheme and host, with nothing behind them"),
        ("FLASKY_SITE_URL", "https://ann:pw@www.example.com", "scheme and host, with nothing behind them"),
        ("FLASKY_SITE_URL", "ftp://www.example.com", "scheme and host, with nothing behind them"),
        ("FLASKY_SITE_URL", "https://", "scheme and host, with nothing behind them"),
        ("FLASKY_SITE_URL", "https://www.example.com:web", "scheme and host, with nothing behind them"),
        ("ENV_FILE", "/no/such/file", "a text file"),
        ("ENV_FILE", "x" * 300, "a text file"),
        ("ENV_FILE", "manage.py/.env", "a text file"),
        ("ENV_FILE", "/", "a text file"),
        ("DATABASE_URL", "postgres://ann:hunter2@host:port/name", "a URL such as"),
    ],
)
def test_an_unreadable_value_is_a_check_with_its_name(run, name, value, expected):
    finished = run("manage.py", "check", **{"SECRET_KEY": "x", name: value})
    assert finished.returncode == 1
    assert "(flasky.E001)" in finished.stderr
    assert name in finished.stderr
    assert expected in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "hunter2" not in finished.stderr


@pytest.mark.parametrize("line", ["MAIL_PASSWORD = hunter2", "MAIL PASSWORD=hunter2", "hunter2"])
def test_a_line_of_the_env_file_that_cannot_be_read_is_named_and_not_shown(run, line):
    finished = run("manage.py", "check", env_file=f"SECRET_KEY=x\n{line}\n")
    assert finished.returncode == 1
    assert ".env, line 2" in finished.stderr
    assert "hunter2" not in finished.stderr + finished.stdout


def test_an_empty_name_of_the_env_file_is_none(run):
    finished = run("manage.py", "check", SECRET_KEY="x", ENV_FILE="")
    assert "ENV_FILE" not in finished.stderr


def test_an_env_file_that_is_no_text_is_named(run):
    finished = run("manage.py", "check", env_file=b"\xff\xfe\x00", SECRET_KEY="x")
    assert "a text file in UTF-8" in finished.stderr


def test_without_a_secret_key_it_says_so_in_one_sentence(run):
    finished = run("manage.py", "check")
    assert finished.returncode != 0
    assert finished.stderr.startswith("SECRET_KEY is not set")
    assert finished.stderr.count("\n") == 1


def test_while_debugging_a_secret_key_is_not_needed(run):
    assert run("manage.py", "check", DEBUG="True").returncode == 0


def test_a_relative_database_file_is_the_same_from_every_folder(values):
    [databases] = values("DATABASES", DATABASE_URL="sqlite:///some.sqlite3")
    assert os.path.isabs(databases["default"]["NAME"])
    assert databases["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


@pytest.mark.parametrize(
    ("scheme", "package"),
    [("mysql", "mysqlclient"), ("postgres", "'psycopg[binary,pool]'"), ("postgresql", "'psycopg[binary,pool]'")],
)
def test_a_database_without_its_driver_is_a_check_that_names_the_package(run, scheme, package):
    finished = run("-c", WITHOUT_THE_DRIVER, SECRET_KEY="x", DATABASE_URL=f"{scheme}://u:p@db.test/name")
    assert f"pip install {package}" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_check_deploy_is_clean_with_https(run):
    variables = {"SECRET_KEY": "k" * 25 + "0123456789abcdefghijklmnopqrstuv", "ALLOWED_HOSTS": "example.com"}
    finished = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **variables)
    assert finished.returncode == 0, finished.stderr


def test_postgresql_connections_are_pooled_where_the_pool_is_installed(values):
    if find_spec("psycopg_pool") is None:
        missing("psycopg[pool]")
    [databases] = values("DATABASES", DATABASE_URL="postgres://me@127.0.0.1/flasky")
    assert databases["default"]["OPTIONS"]["pool"]["max_size"] == 20
    assert "CONN_MAX_AGE" not in databases["default"]  # Django refuses both at once
