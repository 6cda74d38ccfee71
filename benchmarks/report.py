"""The tables on the terminal, and the JSON file."""

import json
from dataclasses import asdict
from pathlib import Path
from statistics import median

from benchmarks.figure import Check, Figure

DATABASES = ("SQLite", "PostgreSQL", "MariaDB")


def table(figure):
    """Print a figure: the subjects' values, the ratios with their limits, the notes."""
    where = f", {figure.database}" if figure.database else ""
    unit = f" in {figure.unit}" if figure.unit else ""
    print(f"\n{figure.title}{where}{unit}: median, minimum to maximum of the rounds")
    width = max((len(name) for name in [*figure.values, *(check.what for check in figure.checks)]), default=0)
    for subject, values in figure.values.items():
        print(f"  {subject:{width}}  {number(median(values)):>8}    {number(min(values))} to {number(max(values))}")
    for check in figure.checks:
        bound = "at least" if check.at_least else "at most"
        limit = "" if check.limit is None else f"{bound} {number(check.limit)}"
        span = f"{number(check.low)} to {number(check.high)}"
        value = f"{number(check.value):>8} {check.unit:2}"
        print(f"  {check.what:{width}}  {value} {span:16} {limit:14} {check.verdict}".rstrip())
    for note in figure.notes:
        print(f"  {note}")
    print(flush=True)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def summary(figures):
    """Print what came of the limits."""
    limited = [(figure, check) for figure in figures for check in figure.checks if check.limit is not None]
    failed = [(figure, check) for figure, check in limited if check.verdict == "FAIL"]
    print(f"\n{len(limited) - len(failed)} of {len(limited)} limits are kept." + " These are not:" * bool(failed))
    for figure, check in failed:
        print(f"  {figure.title}, {figure.database}: {check.what} {number(check.value)} {check.unit}".rstrip())


def save(figures, path, names):
    """Write the figures in the order of the names; those of an earlier run that were not measured this time stay."""
    measured = {(figure.name, figure.database) for figure in figures}
    kept = [figure for figure in load(path) if (figure.name, figure.database) not in measured]
    together = sorted(kept + figures, key=lambda figure: (names.index(figure.name), DATABASES.index(figure.database)))
    text = json.dumps({"figures": [asdict(figure) for figure in together]}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8")


def load(path: Path):
    if not path.exists():
        return []
    figures = [Figure(**figure) for figure in json.loads(path.read_text("utf-8"))["figures"]]
    for figure in figures:
        figure.checks = [Check(**check) for check in figure.checks]
    return figures
