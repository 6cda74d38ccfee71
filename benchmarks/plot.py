"""docs/performance.svg: what waits, what leaves, what a visitor notices."""

import math
from dataclasses import dataclass
from statistics import median
from xml.sax.saxutils import escape

from benchmarks.report import number

WIDTH, LEFT, RIGHT = 900, 290, 90  # px; of the names, of the numbers
BAR, GAP, TOP, BETWEEN = 11, 6, 26, 22  # px; GAP below the bars of a subject, TOP for a panel's title
# By database: ours, others
COLOURS = {
    "SQLite": ("#1b5fae", "#7d8691"),
    "PostgreSQL": ("#8fb8e6", "#c6ccd3"),
    "MariaDB": ("#c9def5", "#e2e5e9"),
}


@dataclass(frozen=True)
class Panel:
    figure: str  # its name, and how its title begins
    begins: str
    title: str
    is_logarithmic: bool = False


PANELS = (
    Panel("request", "POST of a new name, 20 a second, p95", "A new name's POST, 20 a second, p95, ms", True),
    Panel("request", "POST of a new name, 4 at once, p95", "A new name's POST, four visitors at once, p95, ms", True),
    Panel("store", "Storing a mail, wall time", "Storing one mail, ms"),
    Panel("drain", "", "Waiting mail leaves, relay on the same machine, mails/s"),
    Panel("distance", "", "Waiting mail leaves, relay 20 ms away, STARTTLS and login, mails/s"),
)


def drawing(figures):
    """Return an SVG with a panel for each of PANELS that was measured."""
    parts, y, databases = [], 10, {}
    for panel in PANELS:
        shown = [one for one in figures if one.name == panel.figure and one.title.startswith(panel.begins)]
        if shown := [one for one in shown if one.values]:
            databases |= dict.fromkeys(one.database for one in shown)
            text, height = drawn(panel, shown)
            parts.append(f'<g transform="translate(0,{y})">{text}</g>')
            y += height + BETWEEN
    parts.append(f'<g transform="translate({LEFT},{y})">{legend(databases)}</g>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 24}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *parts, "</svg>\n"])


def drawn(panel, shown):
    subjects = list(dict.fromkeys(subject for one in shown for subject in one.values))
    values = [value for one in shown for those in one.values.values() for value in those]
    lowest = min(values) / 1.5 if panel.is_logarithmic else 0
    lines, y = [f'<text x="10" y="14" font-weight="bold" font-size="12">{escape(panel.title)}</text>'], TOP
    for subject in subjects:
        measured = [(one.database, one.values[subject]) for one in shown if subject in one.values]
        middle = y + len(measured) * BAR / 2 + 4
        lines.append(f'<text x="{LEFT - 8}" y="{middle:g}" text-anchor="end">{escape(subject)}</text>')
        for database, those in measured:
            lines.append(bar(database, subject, those, y, lowest, max(values)))
            y += BAR
        y += GAP
    lines.append(f'<path d="M{LEFT} {TOP - 4}V{y}" stroke="#7d8691"/>')
    return "\n".join(lines), y


def bar(database, subject, values, y, lowest, highest):
    """Return the bar of the median with its number, and a line from the minimum to the maximum."""
    low, middle, high = (place(value, lowest, highest) for value in (min(values), median(values), max(values)))
    colour = COLOURS[database][not subject.startswith("Flasky")]
    return (
        f'<rect x="{LEFT}" y="{y}" width="{middle:.1f}" height="{BAR - 1}" fill="{colour}"/>'
        f'<path d="M{LEFT + low:.1f} {y + BAR / 2:g}H{LEFT + high:.1f}" stroke="black"/>'
        f'<text x="{LEFT + high + 5:.1f}" y="{y + BAR - 2}" font-size="9">{number(median(values))}</text>'
    )


def place(value, lowest, highest):
    part = math.log(value / lowest) / math.log(highest / lowest) if lowest else value / highest
    return part * (WIDTH - LEFT - RIGHT)


def legend(databases):
    boxes = (
        f'<rect x="{100 * n}" width="10" height="10" fill="{COLOURS[database][0]}"/>'
        f'<text x="{100 * n + 14}" y="9">{database}</text>'
        for n, database in enumerate(databases)
    )
    return "".join(boxes) + f'<text x="{100 * len(databases)}" y="9">lines: minimum to maximum of the rounds</text>'
