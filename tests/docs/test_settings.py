"""docs/settings.md against flasky/settings.py, the table of checks, and the `.env` of all pages against `check`."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import missing
from tests.docs.pages import ROOT, blocks, rows

PAGE = (ROOT / "docs/settings.md").read_text("utf-8")
VARIABLES, CONSTANTS = PAGE.split("## Set in the code")
SETTINGS = (ROOT / "flasky/settings.py").read_text("utf-8")
REQUIRED = {
    "SECRET_KEY": "for this test only, and as long as a key that keeps people out",
    "ALLOWED_HOSTS": "localhost",
}
NEEDS_ANOTHER = {"DATABASE_URL=postgres": "psycopg", "MAIL_DISPATCHER=celery": "celery"}

AS_JSON = """
import json, os
os.environ["DJANGO_SETTINGS_MODULE"] = "flasky.settings"
import flasky.settings
from flasky.mail.conf import NAMES, conf
values = {name: getattr(conf, name) for name in NAMES}
values |= {name: value for name, value in vars(flasky.settings).items() if name.isupper()}
print(json.dumps(values, default=str))
"""


def run(*arguments, **variables):
    """Run Python with these variables and no others of ours; return what it prints."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
    environment = {**clean, "ENV_FILE": os.devnull, **variables}
    finished = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def documented(text):
    """Return the default of each setting in the tables: none, or the value as it is written there."""
    tables = [*rows(text, 3), *rows(text, 4)]
    names = [name for cells in tables for name in re.findall("`([A-Z_]+)`", cells[0])]
    assert len(names) == len(set(names))
    return {cells[0].strip("`"): cells[1].strip("`") for cells in tables}


def test_every_variable_that_is_read_is_on_the_page_and_no_other():
    read = set(re.findall(r'\bread(?:_database)?\("([A-Z_]+)"', SETTINGS))
    assert documented(VARIABLES).keys() == read


def test_the_ten_settings_of_the_readme_have_the_defaults_of_the_page():
    table = (ROOT / "README.md").read_text("utf-8").partition("## Settings")[2].partition("\n## ")[0]
    ten = rows(table, 3)
    assert len(ten) == 10
    for names, defaults, _ in ten:
        for name, default in zip(names.split(), re.findall("`[^`]+`", defaults) or ["none", "none"], strict=False):
            assert documented(VARIABLES)[name.strip("`")] == default.strip("`")


def test_every_variable_is_in_the_example_file():
    example = (ROOT / ".env.example").read_text("utf-8")
    assert documented(VARIABLES).keys() <= set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))


def test_a_variable_with_the_value_of_the_page_changes_nothing():
    defaults = {name: value for name, value in documented(VARIABLES).items() if value != "none"}
    assert json.loads(run("-c", AS_JSON, **REQUIRED, **defaults)) == json.loads(run("-c", AS_JSON, **REQUIRED))


def test_a_variable_without_a_default_has_none():
    values = json.loads(run("-c", AS_JSON, **REQUIRED))
    without = {name for name, value in documented(VARIABLES).items() if value == "none"} - REQUIRED.keys()
    assert not [name for name in without if values[name]]


def test_what_is_set_in_the_code_has_the_value_of_the_page():
    values = json.loads(run("-c", AS_JSON, **REQUIRED))
    constants = documented(CONSTANTS)
    assert constants == {name: str(values[name]) for name in constants}


@pytest.mark.parametrize("block", blocks("dotenv"), ids=str)
def test_an_env_file_of_the_pages_is_one_that_the_check_likes(block, tmp_path):
    for line, package in NEEDS_ANOTHER.items():
        if line in block.text and find_spec(package) is None:
            missing(package)
    path = tmp_path / ".env"
    path.write_text(block.text, "utf-8")
    added = {name: value for name, value in REQUIRED.items() if f"{name}=" not in block.text or name == "SECRET_KEY"}
    assert "no issues" in run("manage.py", "check", "--fail-level=WARNING", ENV_FILE=str(path), **added)


def test_each_check_is_in_the_table_of_the_commands_page():
    code = "".join(path.read_text("utf-8") for path in (ROOT / "flasky").rglob("*.py"))
    table = "".join(line for line in (ROOT / "docs/commands.md").read_text("utf-8").splitlines() if line[0:1] == "|")
    assert set(re.findall(r"`(flasky\.[EW]\d+)`", table)) == set(re.findall(r'id="(flasky\.[EW]\d+)"', code))
