"""The last results beside these, and what became slower by more than the rounds differ."""

from dataclasses import dataclass
from statistics import median

from benchmarks.report import number

LEAST = 1.03  # times: less is told apart by chance only


@dataclass
class Pair:
    """A subject's rounds, or a check's value with the range of its rounds, then and now."""

    where: str
    what: str
    last: tuple[float, float, float]  # lowest, median, highest
    now: tuple[float, float, float]
    more_is_better: bool

    @property
    def is_worse(self):
        return self._lies_beyond(self.last, self.now) if self.more_is_better else self._lies_beyond(self.now, self.last)

    @property
    def is_better(self):
        return self._lies_beyond(self.now, self.last) if self.more_is_better else self._lies_beyond(self.last, self.now)

    @staticmethod
    def _lies_beyond(higher, lower):
        return higher[0] > lower[2] and higher[1] > lower[1] * LEAST


def pairs(last, now):
    """Return what was measured both times, as pairs."""
    before = {figure.key: figure for figure in last}
    for figure in now:
        if not (old := before.get(figure.key)):
            continue
        where = f"{figure.title}, {figure.database}"
        for subject, values in figure.values.items():
            if earlier := old.values.get(subject):
                yield Pair(where, subject, span(earlier), span(values), figure.more_is_better)
        checks = {check.what: check for check in old.checks}
        for check in figure.checks:
            if earlier := checks.get(check.what):
                ranges = [(one.low, one.value, one.high) for one in (earlier, check)]
                yield Pair(where, check.what, *ranges, check.at_least)


def span(values):
    return min(values), median(values), max(values)


def show(last, now):
    """Print all pairs by figure, and then what became slower."""
    found = list(pairs(last, now))
    if not found:
        print("\nThere are no earlier results of these figures.")
        return
    print("\nLast results and these, medians:")
    where = ""
    for pair in found:
        if pair.where != where:
            where = pair.where
            print(f"  {where}; last: {head(last, where)}")
        mark = "worse" if pair.is_worse else "better" if pair.is_better else ""
        print(f"    {pair.what:52} {number(pair.last[1]):>9} {number(pair.now[1]):>9}  {mark}".rstrip())
    worse = [pair for pair in found if pair.is_worse]
    print("\nNothing became worse by more than the rounds differ." if not worse else "\nWorse by more than the rounds:")
    for pair in worse:
        print(f"  {pair.where}: {pair.what}, {spelled(pair.last)} before, {spelled(pair.now)} now")
    print("Where the peers became slower as well, it is the machine; a ratio within the rounds tells the two apart.")


def head(figures, where):
    about = next(one.about for one in figures if f"{one.title}, {one.database}" == where)
    return ", ".join(str(about[name]) for name in ("at", "commit") if about.get(name)) or "of unknown date"


def spelled(values):
    low, middle, high = map(number, values)
    return f"{middle} ({low} to {high})"
