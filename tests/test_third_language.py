"""A language is one folder: whoever adds it finds it on pages, in mails, commands, checks and the switch."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.pseudo import bracketed
from tests.translations import APPS, ROOT, compile_to, sentences

CODE = "eo"  # Django has Esperanto in part
SCRIPT = """
import django
django.setup()
from django.test import Client
visitor = Client(SERVER_NAME="localhost")
page = visitor.get("/").content.decode()
assert 'value="eo" lang="eo">Esperanto</button>' in page, page
page = visitor.get("/", headers={"accept-language": "eo"}).content.decode()
assert "⟦What is your name?⟧" in page, page
from accounts.models import User
from flasky.mail import send_email
ann = User.objects.create_user("Ann", "ann@example.com", language="eo")
ann.full_clean()
print(send_email("ann@example.com", "Hello", "mail/new_user", user=ann).body)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A function that runs Python in a copy of Flasky to which the language's folder was added."""
    copy = tmp_path_factory.mktemp("flasky")
    for name in ("accounts", "flasky", "locale", "templates"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / "manage.py", copy)
    every = {sentence for app in ("", *APPS) for sentence in sentences(app)}
    translated = {each: bracketed(each.rpartition("\4")[2]) for each in every if not each.startswith("date format")}
    compile_to(copy / "locale" / CODE / "LC_MESSAGES/django.mo", translated)

    def run(*arguments, **variables):
        clean = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
        settings = {"SECRET_KEY": "x" * 50, "DEBUG": "True", "MAIL_TRANSPORT": "dummy", "ENV_FILE": os.devnull}
        ours = {"DJANGO_SETTINGS_MODULE": "flasky.settings", "DATABASE_URL": "sqlite:///db.sqlite3", "PYTHONUTF8": "1"}
        finished = subprocess.run(
            [sys.executable, *arguments],
            cwd=copy,
            env={**clean, **settings, **ours, "LANGUAGE_CODE": CODE, **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        return finished.stdout + finished.stderr

    run("manage.py", "migrate", "--verbosity", "0")
    return run


def test_pages_mails_commands_and_the_switch_speak_it(run):
    said = run("-c", SCRIPT, LANGUAGE_CODE="en")
    assert "⟦User ⟧Ann⟦ has joined.⟧" in said


def test_a_command_and_its_help_speak_it(run):
    assert "⟦Nothing is kept of this person.⟧" in run("manage.py", "erase_mail", "nobody@example.com")
    assert "⟦count only⟧" in run("manage.py", "prune_mail", "--help")
    assert "⟦how many workers to kill (20)⟧" in run("manage.py", "drill", "--help")


def test_a_check_speaks_it(run):
    said = run("manage.py", "check", MAIL_PORT="0", MAIL_TIMEOUT="many")
    assert "MAIL_PORT⟦ is ⟧0⟦; ports go from 1 to 65535.⟧" in said
    assert "⟦, which cannot be read: it must be ⟧⟦a whole number⟧" in said


def test_a_mistyped_language_is_told_that_there_is_this_one(run):
    assert "en, eo or zh-hans. Did you mean eo?" in run("manage.py", "check", LANGUAGE_CODE="eoo")
