"""Read README.md and docs/*.md: their blocks, headings and links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block: an example, or a sample of output."""

    page: str
    line: int
    language: str
    before: str  # the line of text above it
    section: str  # the heading of the second level that it is under
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def commands(self):
        """Return the commands of a block of the shell; a backslash continues a line."""
        return self.text.replace("\\\n", " ").splitlines()


def blocks(*languages):
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages or not languages]


def blocks_of(page):
    text = page.read_text("utf-8")
    name = page.relative_to(ROOT).as_posix()
    for found in re.finditer(r"^```(.*)\n((?s:.*?))^```$", text, re.MULTILINE):
        above = text[: found.start()]
        sections = re.findall(r"^## (.*)$", above, re.MULTILINE) or [""]
        before = (above.strip().splitlines() or [""])[-1]
        yield Block(name, above.count("\n") + 1, found[1], before, sections[-1], found[2])


def prose(page):
    """Return the page's text without its blocks."""
    return re.sub(r"^```(?s:.*?)^```$", "", page.read_text("utf-8"), flags=re.MULTILINE)


def links(page):
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page):
    """Return the names by which GitHub links to the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def rows(text, columns):
    """Return the cells of each row of the tables with so many columns, without their heads."""
    lines = [line.strip("|").split("|") for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)]
    cells = [[cell.strip() for cell in line] for line in lines if len(line) == columns]
    return [row for row in cells if row[0].startswith("`")]
