"""What a figure is: values of several rounds, and the ratios that are held against a limit."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass
class Check:
    """A number held against its limit, with the range of the rounds."""

    what: str
    value: float
    low: float
    high: float
    limit: float | None  # None: for information
    at_least: bool  # otherwise at most
    unit: str = "×"

    @property
    def verdict(self):
        if self.limit is None:
            return ""
        return "pass" if (self.value >= self.limit) == self.at_least or self.value == self.limit else "FAIL"


@dataclass
class Figure:
    name: str
    title: str
    unit: str
    database: str = ""
    values: dict[str, list[float]] = field(default_factory=dict)  # subject → one value a round
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)  # when, at what load, which versions: about.py

    @property
    def key(self):
        return self.name, self.title, self.database

    @property
    def more_is_better(self):
        return self.unit == "mails/s"

    def add(self, subject, value):
        self.values.setdefault(subject, []).append(value)

    def check(self, what, values, limit=None, at_least=False, value=None, unit="×"):
        """Hold the median of the rounds' values, or `value`, against the limit."""
        if not values:
            self.notes.append(f"{what}: not measured")
            return
        value = median(values) if value is None else value
        self.checks.append(Check(what, value, min(values), max(values), limit, at_least, unit))

    def ratio(self, ours, other, limit=None, at_least=False):
        """Compare two subjects round by round: what one round shared, the machine's load above all, cancels out."""
        pairs = zip(self.values.get(ours, []), self.values.get(other, []), strict=False)
        self.check(f"{ours} / {other}", [mine / theirs for mine, theirs in pairs], limit, at_least)

    def ratio_to_best(self, ours, others, name, limit, at_least):
        """Compare with whichever of the others was the best in that round."""
        best = max if self.more_is_better else min
        rounds = zip(*(self.values.get(other, []) for other in others), strict=False)
        pairs = zip(self.values.get(ours, []), map(best, rounds), strict=False)
        self.check(f"{ours} / {name}", [mine / theirs for mine, theirs in pairs], limit, at_least)


def percentile(values, percent):
    """Return the smallest value that `percent` per cent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
