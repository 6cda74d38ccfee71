"""README.zh-hans.md: whoever reads it can do the same, and find the same, as with README.md."""

import re

from tests.docs.pages import ROOT, blocks_of, links

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-hans.md"


def test_each_leads_to_the_other():
    assert "README.zh-hans.md" in links(ENGLISH)
    assert "README.md" in links(CHINESE)


def test_the_commands_and_settings_are_the_same():
    english, chinese = (
        [block.text for block in blocks_of(page) if block.language != "text"] for page in (ENGLISH, CHINESE)
    )
    assert chinese == english


def test_the_links_lead_to_the_same_places():
    ours = {"README.md", "README.zh-hans.md"}
    assert set(links(CHINESE)) - ours == set(links(ENGLISH)) - ours


def test_every_part_and_every_row_is_there():
    english, chinese = (page.read_text("utf-8") for page in (ENGLISH, CHINESE))
    for part in (r"(?m)^## ", r"(?m)^\| ", r"(?m)^- \*\*", r"(?m)^\d\. "):
        assert len(re.findall(part, chinese)) == len(re.findall(part, english)), part
    for names in re.findall(r"(?m)^\| (`[^|]+) \|", english):
        assert f"| {names} |" in chinese
