"""Every command of ours with whatever a shell may hand over: it ends well, or with a sentence."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from flasky.mail.models import OutboxMessage
from tests.fuzz.amount import TIMEOUT, trying
from tests.fuzz.values import texts
from tests.mail.commands.test_prune_mail import store

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(TIMEOUT)]

# Of each command the options that take a value. None of these calls goes on for long: they store nothing to deliver.
COMMANDS = {
    "prune_mail": ["--days", "--bodies"],
    "requeue_mail": ["", "--state", "--to", "--newer-than", "--older-than"],
    "erase_mail": ["", "--about", "--actor", "--user"],
    "sendtestemail": ["", "--template", "--using"],
    "check_mail_templates": [""],
    "deliver_mail": [""],
    "drill": ["", "--kills", "--messages", "--workers", "--threads", "--dispatcher", "--seed"],
}


def typed():
    """Return what a shell can hand over: anything but NUL."""
    return texts().map(lambda text: text.replace("\0", ""))


def given_to(option, value):
    return [f"{option}={value}"] if option else ["--", value]


@st.composite
def command_lines(draw):
    name = draw(st.sampled_from(sorted(COMMANDS)))
    options = draw(st.lists(st.sampled_from(COMMANDS[name]), unique=True, max_size=2))
    # What stands alone comes last; the drill is refused before it starts.
    named = [argument for option in sorted(options, reverse=True) for argument in given_to(option, draw(typed()))]
    return [name, *named]


def run(*command):
    """Return the sentence with which it ends."""
    try:
        call_command(*command, stdout=StringIO(), stderr=StringIO())
    except CommandError as error:
        return str(error)
    return "well"


@trying(100)
@given(command=command_lines())
def test_a_command_takes_any_argument(command):
    store(1)
    if command[0] == "drill":
        command = ["drill", "--kills=x", *command[1:]]
    assert run(*command)
    assert {address for message in OutboxMessage.objects.all() for address in message.recipients} <= {"bob@example.com"}


@trying(50)
@given(name=typed(), address=typed(), about=typed(), actor=typed())
def test_an_export_of_anybody_ends_well_or_with_a_sentence(name, address, about, actor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "x.zip"
    file.unlink(missing_ok=True)
    for line in (["--user", name], ["--", address], ["--about", about], ["--actor", actor]):
        assert run("export_mail", str(file), *line)
        file.unlink(missing_ok=True)
    assert run("export_mail", name, "--actor", "x")


@trying(30)
@given(name=typed(), email=typed())
def test_an_account_of_any_name_is_made_or_refused(name, email):
    assert run("createsuperuser", "--noinput", f"--username={name}", f"--email={email}")
    assert {address for message in OutboxMessage.objects.all() for address in message.recipients} <= {
        "admin@example.com"
    }
    User.objects.all().delete()
