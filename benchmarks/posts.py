"""How long visitors wait whose new names are posted to several servers by turns."""

import math
from dataclasses import dataclass
from itertools import chain

from benchmarks.browser import Browser, visit
from benchmarks.child import Missing
from benchmarks.figure import Figure, percentile


@dataclass(frozen=True)
class Crowd:
    name: str
    clients: int
    per_second: float  # posts of each; infinite: the next as soon as the page is there


QUIET = Crowd("20 a second", 2, 10)  # so little that nothing queues
AT_ONCE = Crowd("4 at once", 4, math.inf)


def by_turns(servers, rounds, seconds, crowd=QUIET, beside=()):
    """Return a list of each round's times by label; those `beside` are visited in two rounds only.

    All servers are up all the time, and every round visits each of them: what disturbs one, disturbs all.
    """
    browsers = {label: [Browser(server.port) for _ in range(crowd.clients)] for label, server in servers.items()}

    def visited(label, seconds):
        try:
            return visit(browsers[label], seconds, crowd.per_second)
        except AssertionError as error:
            raise Missing(f"{label}, {crowd.name}: {error}. {servers[label].last_words()}") from error

    for label in servers:
        visited(label, 1)  # warm: both processes have compiled their templates
    samples = {label: [] for label in servers}
    for number in range(rounds):
        for label in servers:
            if number < 2 or label not in beside:
                samples[label].append(visited(label, seconds))
    return samples


def figure(name, title, database, samples, percent):
    made = Figure(name, f"{title}, p{percent}", "ms", database.name)
    for label, by_round in samples.items():
        made.values[label] = [1000 * percentile(those, percent) for those in by_round]
    return made


def compare(figure, samples, percent, ours, other, limit):
    """Compare the percentiles of all samples; the range is that of the rounds."""
    by_round = zip(figure.values[ours], figure.values[other], strict=False)
    mine, theirs = (percentile(list(chain.from_iterable(samples[label])), percent) for label in (ours, other))
    figure.check(f"{ours} / {other}", [one / two for one, two in by_round], limit, value=mine / theirs)


def note(samples, crowd=QUIET):
    each = sum(map(len, next(iter(samples.values()))))
    return f"About {each} posts of each subject, {crowd.name}; ratios are those of all samples"
