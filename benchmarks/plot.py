"""docs/performance.svg: what waits, what leaves, what a visitor notices."""

from statistics import median

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

# A panel for each: the figure's name, the start of its title, what the panel says, a logarithmic axis or not
PANELS = (
    ("request", "POST of a new name, p95", "A visitor's new name: the POST, 95th percentile, ms", True),
    ("store", "Storing a mail, wall time", "Storing one mail, ms", False),
    ("drain", "", "Waiting mail leaves, relay on the same machine, mails/s", False),
    ("distance", "", "Waiting mail leaves, relay 20 ms away, STARTTLS and login, mails/s", False),
)
OURS, OTHERS = ("#1b5fae", "#8fb8e6"), ("#7d8691", "#c6ccd3")  # SQLite dark, PostgreSQL light


def draw(figures, path):
    panels = [(panel, shown) for panel in PANELS if (shown := chosen(figures, panel))]
    if not panels:
        return
    plt.rcParams.update(
        {
            "font.size": 9,
            "svg.hashsalt": "flasky",
            "svg.fonttype": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    heights = [1 + len(shown[0].values) for _, shown in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(9, 0.36 * sum(heights)), height_ratios=heights, layout="constrained", squeeze=False
    )
    for axis, ((_, _, title, logarithmic), shown) in zip(axes[:, 0], panels, strict=True):
        bars(axis, shown)
        axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
        if logarithmic:
            axis.set_xscale("log")
    names = list(dict.fromkeys(one.database for _, shown in panels for one in shown))
    handles = [plt.Rectangle((0, 0), 1, 1, color=OURS[shade(name)]) for name in names]
    figure.legend(handles, names, loc="outside lower left", ncols=2, frameon=False, title="lines: minimum to maximum")
    figure.savefig(path, facecolor="white", metadata={"Date": None})


def chosen(figures, panel):
    """Return the panel's figures, one for each database."""
    name, title, _, _ = panel
    return [one for one in figures if one.name == name and one.title.startswith(title) and one.values]


def shade(database):
    return 0 if database == "SQLite" else 1


def bars(axis, shown):
    subjects = list(dict.fromkeys(subject for one in shown for subject in one.values))
    height = 0.8 / len(shown)
    for number, one in enumerate(shown):
        for row, subject in enumerate(subjects):
            if not (values := one.values.get(subject)):
                continue
            middle, low, high = median(values), min(values), max(values)
            place = row + (number - (len(shown) - 1) / 2) * height
            colours = OURS if subject.startswith("Flasky") else OTHERS
            axis.barh(place, middle, height * 0.9, color=colours[shade(one.database)])
            axis.plot([low, high], [place, place], color="black", linewidth=0.8)
            text = f"{middle:,.0f}" if middle >= 100 else f"{middle:.3g}"
            axis.annotate(text, (high, place), (4, 0), textcoords="offset points", va="center", fontsize=7.5)
    axis.set_yticks(range(len(subjects)), subjects)
    axis.invert_yaxis()
    axis.margins(x=0.1)
