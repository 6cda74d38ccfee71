"""README.zh-hans.md and docs/zh-hans/: whoever reads them can do and find the same as with the English pages."""

import re

import pytest

from tests.docs.pages import ROOT, anchors, blocks_of, links, rows

PAIRS = [
    (ROOT / "README.md", ROOT / "README.zh-hans.md"),
    *((ROOT / "docs" / page.name, page) for page in sorted(ROOT.glob("docs/zh-hans/*.md"))),
]
NEWCOMERS = {"adopt.md", "deployment.md", "languages.md", "settings.md", "writing-mail.md"}

each_pair = pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: page.name)


def places(page):
    """Return where its links lead, wherever it lies, and whether to a page's Chinese twin or to itself."""
    paths = [link.partition("#")[0] for link in links(page) if not link.startswith("https://")]
    found = {(page.parent / path).resolve() if path else page for path in paths}
    english = {chinese: english for english, chinese in PAIRS}
    return {english.get(place, place) for place in found}, {link for link in links(page) if link.startswith("https://")}


def test_what_a_newcomer_needs_is_there():
    assert {chinese.name for _, chinese in PAIRS[1:]} >= NEWCOMERS


@each_pair
def test_each_leads_to_the_other(english, chinese):
    assert chinese.relative_to(english.parent).as_posix() in links(english)
    assert english in {(chinese.parent / link).resolve() for link in links(chinese)}


@each_pair
def test_the_commands_and_the_code_are_the_same(english, chinese):
    ours, theirs = ([block.text for block in blocks_of(page) if "│" not in block.text] for page in (english, chinese))
    assert theirs == ours


@each_pair
def test_the_links_lead_to_the_same_places(english, chinese):
    (ours, sites), (theirs, their_sites) = places(english), places(chinese)
    assert theirs - {english, chinese} == ours - {english, chinese}
    assert their_sites == sites


@each_pair
def test_no_link_leads_nowhere(english, chinese):
    for link in links(chinese):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (chinese.parent / path).resolve() if path else chinese
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@each_pair
def test_a_link_to_what_there_is_in_chinese_leads_there(english, chinese):
    translated = {ours for ours, _ in PAIRS} - {english}  # to which each leads at its beginning
    assert not translated & {(chinese.parent / link.partition("#")[0]).resolve() for link in links(chinese)}


@each_pair
def test_every_part_and_every_row_is_there(english, chinese):
    ours, theirs = (page.read_text("utf-8") for page in (english, chinese))
    for part in (r"(?m)^##+ ", r"(?m)^\|", r"(?m)^- ", r"(?m)^\d\. "):
        assert len(re.findall(part, theirs)) == len(re.findall(part, ours)), part
    for columns in (2, 3, 4):
        for mine, yours in zip(rows(ours, columns), rows(theirs, columns), strict=True):
            assert codes(mine[:2]) == codes(yours[:2])


def codes(cells):
    """Return names and values of the cells; what stands around them is another language's."""
    return [re.findall("`([^`]+)`", cell) for cell in cells]


@each_pair
def test_every_name_of_ours_is_named(english, chinese):
    ours, theirs = (set(re.findall(r"`([A-Z]+_[A-Z_]+)[`=]", page.read_text("utf-8"))) for page in (english, chinese))
    assert theirs >= ours  # the README says more of languages
