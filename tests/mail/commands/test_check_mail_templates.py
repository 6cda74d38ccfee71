"""check_mail_templates: what it prints, and how it ends."""

import re

import pytest

import dev
from flasky.mail.management.commands.check_mail_templates import Command


@pytest.fixture
def write(settings, tmp_path):
    """Add a folder of templates to the project's; return what writes one of them."""
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], tmp_path]} for engine in settings.TEMPLATES]
    (tmp_path / "mail").mkdir()
    return lambda name, content: (tmp_path / "mail" / name).write_text(content, "utf-8")


@pytest.fixture
def check(capsys):
    """Run it as manage.py does; return its exit status, what it printed, and what it complained of."""

    def check():
        try:
            Command().run_from_argv(["manage.py", "check_mail_templates"])
            status = 0
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return check


def test_the_projects_own_mails_pass(check):
    status, printed, complaint = check()
    assert status == 0
    assert re.fullmatch(r"\d+ templates in 2 languages, nothing wrong\.\n", printed)
    assert complaint == ""


def test_every_problem_of_every_mail_is_a_line_and_it_fails(check, write):
    own = int(check()[1].split()[0])
    write("half.html", "News")
    write("news.txt", "{{ nam }}")
    write("news.html", '<img src="https://a.example/b.png"><a href="/c">News</a>' + "x" * 102_000)
    status, printed, complaint = check()
    assert status == 1
    beginnings = [
        "mail/half.txt is missing",
        "mail/news.txt uses the undefined variable nam",
        "mail/news.html has an image without alt",
        'mail/news.html has the relative URL "/c"',
        "mail/news.html has 102,056 bytes of HTML",
    ]
    for line, beginning in zip(printed.splitlines(), beginnings, strict=True):
        assert line.startswith(beginning)
    assert complaint == f"CommandError: {own + 3} templates in 2 languages, 5 problems.\n"


def test_one_problem_is_one(check, write, settings):
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    write("half.html", "News")
    status, _, complaint = check()
    assert status == 1
    assert re.fullmatch(r"CommandError: \d+ templates in 2 languages, 1 problem\.\n", complaint)


def test_without_any_template_it_fails(check, settings, tmp_path):
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path], "APP_DIRS": False} for engine in settings.TEMPLATES]
    status, printed, complaint = check()
    assert (status, printed) == (1, "")
    assert complaint.startswith("CommandError: Nothing was checked: there is no template mail/NAME.txt or")


def test_without_a_list_of_languages_the_one_that_mails_are_sent_in_is_checked(check, settings, write):
    settings.LANGUAGES = []
    assert re.fullmatch(r"\d+ templates in 1 language, nothing wrong\.\n", check()[1])
    write("broken.txt", "{% fail %}")
    write("broken.html", "")
    assert "mail/broken.txt cannot be rendered with the sample usual in en:" in check()[1]


def test_it_is_part_of_the_test_command():
    assert "manage.py check_mail_templates --settings=tests.settings" in dev.CHECKS
