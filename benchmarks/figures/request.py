"""What a notification costs the visitor whose new name causes it, whatever the relay does."""

import subprocess
import sys
from contextlib import ExitStack
from itertools import chain

from benchmarks import databases, relay
from benchmarks.browser import Browser, visit
from benchmarks.child import ROOT, Missing
from benchmarks.figure import Figure, percentile
from benchmarks.server import FLASK_APP, Server

CLIENTS, PER_SECOND = 2, 10  # so little that nothing queues
OFF, INSTANT = "Flasky, no notification", "Flasky, relay instant"
TROUBLED = ("Flasky, relay takes 2 s a mail", "Flasky, relay never answers", "Flasky, relay down")


def measure(database, scratch, rounds, quick):
    """All servers are up all the time, and every round visits each of them: what disturbs one, disturbs all."""
    figures = [Figure("request", f"POST of a new name, p{p}", "ms", database.name) for p in (50, 95)]
    rounds, seconds = (rounds, 2) if quick else (rounds * 3, 4)
    samples = {}
    with ExitStack() as stack:
        servers = start_servers(database, scratch, stack)
        browsers = {label: [Browser(server.port) for _ in range(CLIENTS)] for label, server in servers.items()}
        for those in browsers.values():
            visit(those, 1, PER_SECOND)  # warm: both processes have compiled their templates
        for _ in range(rounds):
            for label, those in browsers.items():
                samples.setdefault(label, []).append(visit(those, seconds, PER_SECOND))
    for percent, figure in zip((50, 95), figures, strict=True):
        for label, by_round in samples.items():
            figure.values[label] = [1000 * percentile(those, percent) for those in by_round]
    compare(figures[0], samples, 50, INSTANT, OFF, None)
    compare(figures[1], samples, 95, INSTANT, OFF, 1.25)
    for label in TROUBLED:
        compare(figures[1], samples, 95, label, INSTANT, 1.10)
    for label in ("Flask 6a, relay instant", "Flask 6b, relay instant"):
        compare(figures[1], samples, 95, label, INSTANT, None)
    each = sum(map(len, samples[OFF]))
    figures[1].notes.append(
        f"About {each} posts each, {CLIENTS * PER_SECOND} a second; ratios are those of all samples"
    )
    return figures


def start_servers(database, scratch, stack):
    """Return the servers by label."""

    def kept(thing):
        stack.callback(thing.stop)
        return thing

    instant, slow = kept(relay.loopback(scratch)), kept(relay.OwnServer(scratch, delay=2))
    relays = (instant, slow, kept(relay.Silent()), kept(relay.Down()))
    variants = [(OFF, instant, {"FLASKY_ADMIN": ""})]
    variants += [(label, server, {}) for label, server in zip((INSTANT, *TROUBLED), relays, strict=True)]
    servers = {}
    for label, server, others in variants:
        environment = databases.settings(database.new(), server, MAIL_DISPATCHER="threads", **NOTIFY | others)
        servers[label] = kept(Server(scratch, environment))
    for step in ("6a", "6b"):
        for speed, server in (("instant", instant), ("takes 2 s a mail", slow)):
            environment = databases.settings(database.new(), server, FLASKY_STEP=step, **NOTIFY)
            make_table(environment)
            servers[f"Flask {step}, relay {speed}"] = kept(Server(scratch, environment, FLASK_APP))
    return servers


NOTIFY = {"FLASKY_ADMIN": "admin@example.com"}


def make_table(environment):
    command = [sys.executable, "-m", FLASK_APP.partition(":")[0]]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Missing(f"Flask's table could not be made: {done.stderr[-300:]}")


def compare(figure, samples, percent, ours, other, limit):
    """Compare the percentiles of all samples; the range is that of the rounds."""
    by_round = zip(figure.values[ours], figure.values[other], strict=True)
    mine, theirs = (percentile(list(chain.from_iterable(samples[label])), percent) for label in (ours, other))
    figure.check(f"{ours} / {other}", [one / two for one, two in by_round], limit, value=mine / theirs)
