"""erase_mail and export_mail: who is meant, and what is said of it."""

import os
from zipfile import ZipFile

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from flasky.mail import cause_of
from flasky.mail.models import OutboxMessage, State
from tests.mail.privacy.people import ANN, stored

pytestmark = pytest.mark.django_db


def test_erasing_says_what_it_did_and_what_it_did_not(capsys):
    stored(ANN), stored(ANN, state=State.HELD), stored(ANN, "bob@example.com")
    waiting = stored(ANN, "bob@example.com", state=State.QUEUED)
    said = rf"^Not everything is erased\. Messages for others, .*: 1 \(number {waiting.pk}\)\. Run the command again"
    with pytest.raises(CommandError, match=said):
        call_command("erase_mail", "Ann <ANN@example.com>")
    assert capsys.readouterr().out == (
        "Messages removed, with all that is known of them: 2\n"
        "  of these not sent yet, and never to be: 1\n"
        "Messages of others, the person taken out: 2\n"
        "  of these emptied, because the text names the person: 1\n"
        "Not touched: the log, copies of the database, what has arrived, what providers keep.\n"
    )


def test_a_dry_run_says_what_would_be(capsys):
    stored(ANN)
    call_command("erase_mail", ANN, "--dry-run")
    assert capsys.readouterr().out.startswith("Messages to be removed, with all that is known of them: 1\n")
    assert OutboxMessage.objects.count() == 1


def test_a_user_is_an_object_a_name_and_an_address():
    User.objects.bulk_create([User(username="Ann", email=ANN)])
    stored("admin@example.com", cause=cause_of(User.objects.get())), stored(ANN)
    by_ann = stored("bob@example.com")
    OutboxMessage.objects.filter(pk=by_ann.pk).update(actor="Ann")
    call_command("erase_mail", "--user", "Ann")
    assert list(OutboxMessage.objects.values_list("pk", "actor")) == [(by_ann.pk, "")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name a person: an address"),
        (["--user", "Nobody"], "There is no user 'Nobody'"),
        (["--about", "17"], "'17' is no object"),
        (["ann"], "'ann' is not a mail address"),
    ],
)
def test_whoever_names_nobody_is_told_how(arguments, said):
    with pytest.raises(CommandError, match=f"^{said}"):
        call_command("erase_mail", *arguments)


def test_an_address_in_the_place_of_the_file_is_no_file():
    with pytest.raises(CommandError, match=f"Name the file first: export_mail FILE.zip {ANN}"):
        call_command("export_mail", ANN)


def test_a_file_whose_name_no_disk_can_have_is_refused():
    with pytest.raises(CommandError, match="is no file's name here"):
        call_command("export_mail", "\ud800.zip", "bob@example.com")


def test_a_file_for_the_person_is_readable_by_nobody_else(tmp_path, capsys):
    message, path = stored(ANN), tmp_path / "ann.zip"
    call_command("export_mail", str(path), ANN)
    assert ZipFile(path).namelist() == ["README.txt", f"messages/{message.pk}.eml", "mail.json"]
    assert os.name == "nt" or path.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out.startswith(f"1 message listed in {path}, 1 of them with the mail itself.")
    with pytest.raises(CommandError, match="File exists"):
        call_command("export_mail", str(path), ANN)
