"""Write the tables and the plot of docs/performance.md from results.json: `python -m benchmarks.docs`.

A table stands between `<!-- figures: NAME -->` and `<!-- end -->`; the sentences around it are written by hand. Numbers
within sentences stand between `<!-- drain, SQLite, Flasky -->` and `<!-- / -->`: figure, database, subject.
"""

import re
from itertools import chain
from statistics import median
from textwrap import fill

from benchmarks import plot, report
from benchmarks.child import ROOT
from benchmarks.report import number

RESULTS = ROOT / "benchmarks" / "results.json"
PAGES = [ROOT / "README.md", ROOT / "docs" / "performance.md"]
PLOT = ROOT / "docs" / "performance.svg"
ELSEWHERE = ("broker", "look")  # measured by name only, and told of in words
TABLE = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
NUMBER = re.compile(r"(<!-- (\w+), (\w+), ([^>]+) -->).*?(<!-- / -->)", re.DOTALL)


def write():
    """Write the pages and the plot anew."""
    for path, text in everything().items():
        path.write_text(text, "utf-8")


def everything():
    """Return the text that each file should have."""
    figures = report.load(RESULTS)
    return {page: filled(page.read_text("utf-8"), figures) for page in PAGES} | {PLOT: plot.drawing(figures)}


def filled(page, figures):
    page = TABLE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]](figures)}\n{found[3]}", page)
    return NUMBER.sub(lambda found: f"{found[1]}{middle(figures, *found.group(2, 3, 4))}{found[5]}", page)


def middle(figures, name, database, subject):
    """Return the median of the subject's rounds."""
    one = next(one for one in figures if (one.name, one.database) == (name, database) and subject in one.values)
    return number(median(one.values[subject]))


def goals(figures):
    """Return the values that have a limit: one row for each, and a column for each database."""
    rows = {}
    for figure in (one for one in figures if one.name not in ELSEWHERE):
        for check in figure.checks:
            if check.limit is not None:
                bound = "≥" if check.at_least else "≤"
                what = f"{figure.title}: {check.what}", f"{bound} {check.limit:g} {check.unit}".strip()
                rows.setdefault(what, {})[figure.database] = shown(check)
    databases = in_order(database for cells in rows.values() for database in cells)
    body = [[*what, *(cells.get(database, "") for database in databases)] for what, cells in rows.items()]
    return table(["", "limit", *databases], body)


def shown(check):
    text = f"{number(check.value)} {check.unit}".strip()
    return f"**{text}**" if check.verdict == "FAIL" else text


def rates(figures):
    """Return how fast mail leaves: a row for each subject, a column for each figure and database."""
    return medians(figures, {"drain": "loopback", "distance": "20 ms away"}, "mails/s")


def storing(figures):
    return medians([one for one in figures if one.name == "store"], {"store": ""}, "ms a mail")


def requests(figures):
    chosen = [one for one in figures if one.title.endswith("p95")]
    return medians(chosen, {"request": ""}, "p95, ms")


def medians(figures, names, unit):
    """Return the medians of the figures with these names; what is told apart by their titles stands in the head."""
    chosen = [one for one in figures if one.name in names and one.values]
    heads = [f"{names[one.name] or short(one.title)}, {one.database}" for one in chosen]
    subjects = list(dict.fromkeys(chain.from_iterable(one.values for one in chosen)))
    body = [
        [subject, *(number(median(one.values[subject])) if subject in one.values else "" for one in chosen)]
        for subject in subjects
    ]
    return table([unit, *heads], body)


def short(title):
    """Leave out what the head of the table says: "Storing a mail, wall time" is "wall time" there."""
    return title.partition(", ")[2].removesuffix(", p95") or title


def heads(figures):
    """Return when and how each figure was measured."""
    rows = {}
    for one in figures:
        about = one.about
        packages = ", ".join(f"{name} {version}" for name, version in about.get("packages", {}).items())
        row = (
            about.get("at", ""),
            about.get("commit", ""),
            ", ".join(map(str, about.get("load", []))),
            f"{about['busy']} %" if "busy" in about else "",
            ", ".join(filter(None, [f"Python {about['python']}" if "python" in about else "", packages])),
        )
        rows[one.name, one.about.get("database", one.database)] = row
    versions = list(dict.fromkeys(row[-1] for row in rows.values() if row[-1]))
    body = [[f"`{name}`", database, *row[:-1]] for (name, database), row in rows.items()]
    paragraphs = [fill(one, 120, break_on_hyphens=False) for one in versions]
    return "\n".join([table(["figure", "database", "at", "commit", "load", "busy"], body), "\n\n".join(paragraphs), ""])


def in_order(databases):
    return sorted(set(databases), key=report.DATABASES.index)


def table(head, body):
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |") for cells in lines) + "\n"


TABLES = {
    "goals": goals,
    "rates": rates,
    "storing": storing,
    "requests": requests,
    "heads": heads,
}


if __name__ == "__main__":
    write()
