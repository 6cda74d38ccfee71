"""The Python of README.md and docs/*.md is run, page by page, in `manage.py shell`."""

import ast
import re
from pkgutil import resolve_name
from shlex import quote

import pytest

from tests.docs.pages import blocks

A_USER = "user = User.objects.create_user('Ann {page}')\n"
PASSWORD_RESET = """
from accounts.resets import ResetForm
user.email = "ann@example.com"
user.set_password("a password")
user.save()
form = ResetForm({"email": user.email})
assert form.is_valid()
form.save(domain_override="example.com")
"""
# Parts of the settings and scripts of a project that has other packages; the page says with which they were tried.
OTHER_PROJECTS = {"docs/adopt.md", "docs/pages.md", "docs/settings.md"}
AFTERWARDS = {"docs/writing-mail.md": PASSWORD_RESET}  # to whose form it leads
MAILS = {"README.md": 3, "docs/writing-mail.md": 10}  # with those about a new user, without the one for tomorrow


@pytest.mark.parametrize("page", MAILS)
def test_the_python_of_a_page_runs_and_sends_its_mails(page, project):
    examples = "".join(block.text for block in blocks("python") if block.page == page)
    with_values = re.sub(r"^(\S.*)  # ('\w+')$", r"assert \1 == \2", examples, flags=re.MULTILINE)
    script = A_USER.format(page=page) + with_values + AFTERWARDS.get(page, "")
    project.run("python manage.py deliver_mail")  # what another test has left is none of this page's
    finished = project.run(f"python manage.py shell -c {quote(script)}", MAIL_DISPATCHER="inline")
    assert finished.returncode == 0, finished.stdout
    assert finished.stdout.count("Message-ID: ") == MAILS[page], finished.stdout


@pytest.mark.parametrize("block", [block for block in blocks("python") if block.page in OTHER_PROJECTS], ids=str)
def test_the_python_for_other_projects_names_only_what_there_is(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Constant) and str(node.value).startswith("flasky."):
            resolve_name(node.value)


def test_no_page_with_python_is_left_out():
    assert {block.page for block in blocks("python")} == MAILS.keys() | OTHER_PROJECTS
