"""README.md and docs/*.md: what each page has, where its links lead, and which of its blocks are run by which test."""

import json
import re

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, prose, rows

RUN = {
    "sh": "test_commands.py",
    "console": "test_commands.py, with the output that it shows",
    "powershell": "test_commands.py: it has the commands of the shell",
    "python": "test_python.py",
    "django": "test_python.py: the templates of the mails that it sends",
    "dotenv": "test_settings.py",
    "json": "below",
}
SAMPLES = {"text", ""}  # of output, and a drawing
# tests/mail/web/test_plain_admin.py has such pages in another project, and tests/mail/test_images.py such a mail
OTHER_PROJECTS = {"html", "css"}
OTHER_PROGRAMS = {"haproxy", "ini", "mermaid", "nginx", "sql", "yaml"}  # their configurations and drawings

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def test_each_block_is_run_or_named_here_as_one_that_is_not():
    assert {block.language for block in blocks()} == RUN.keys() | SAMPLES | OTHER_PROJECTS | OTHER_PROGRAMS


def test_the_readme_is_for_people_with_three_minutes():
    assert len(PAGES[0].read_text("utf-8").splitlines()) <= 250


def test_the_readme_leads_to_each_page():
    assert {page.relative_to(ROOT).as_posix() for page in PAGES[1:]} <= set(links(PAGES[0]))


@each_page
def test_each_page_begins_with_what_it_is_for(page):
    title, first, *_ = prose(page).split("\n\n")
    assert re.fullmatch("# .+", title)
    assert re.match("[A-Z]", first)
    assert first.endswith(".")
    assert page == PAGES[0] or "for " in first.lower(), "it says who reads it"


@each_page
def test_no_line_but_a_tables_is_longer_than_the_codes(page):
    assert not [line for line in prose(page).splitlines() if len(line) > 120 and not line.startswith("|")]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md"], ids=lambda page: page.name)
def test_no_link_leads_nowhere(page):
    for link in links(page):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@each_page
def test_each_picture_says_in_words_what_it_shows(page):
    assert "![](" not in prose(page)


def test_the_line_of_the_log_in_json_has_the_fields_of_the_table():
    [line] = blocks("json")
    table = (ROOT / line.page).read_text("utf-8").partition("| field | meaning |")[2].partition("\n\n")[0]
    documented = {name for field, _ in rows(table, 2) for name in re.findall("`([^`]+)`", field)}
    assert documented == json.loads(line.text).keys() | {"exception"}
