"""How long visitors wait whose new names are posted to several servers by turns."""

from itertools import chain

from benchmarks.browser import Browser, visit
from benchmarks.figure import Figure, percentile

CLIENTS, PER_SECOND = 2, 10  # so little that nothing queues


def by_turns(servers, rounds, seconds):
    """Return a list of each round's times by label.

    All servers are up all the time, and every round visits each of them: what disturbs one, disturbs all.
    """
    browsers = {label: [Browser(server.port) for _ in range(CLIENTS)] for label, server in servers.items()}
    for those in browsers.values():
        visit(those, 1, PER_SECOND)  # warm: both processes have compiled their templates
    samples = {label: [] for label in servers}
    for _ in range(rounds):
        for label, those in browsers.items():
            samples[label].append(visit(those, seconds, PER_SECOND))
    return samples


def figure(name, title, database, samples, percent):
    made = Figure(name, f"{title}, p{percent}", "ms", database.name)
    for label, by_round in samples.items():
        made.values[label] = [1000 * percentile(those, percent) for those in by_round]
    return made


def compare(figure, samples, percent, ours, other, limit):
    """Compare the percentiles of all samples; the range is that of the rounds."""
    by_round = zip(figure.values[ours], figure.values[other], strict=True)
    mine, theirs = (percentile(list(chain.from_iterable(samples[label])), percent) for label in (ours, other))
    figure.check(f"{ours} / {other}", [one / two for one, two in by_round], limit, value=mine / theirs)


def note(samples):
    each = sum(map(len, next(iter(samples.values()))))
    return f"About {each} posts each, {CLIENTS * PER_SECOND} a second; ratios are those of all samples"
