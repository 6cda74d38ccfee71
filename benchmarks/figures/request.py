"""What a notification costs the visitor whose new name causes it, whatever the relay does."""

import subprocess
import sys
from contextlib import ExitStack

from benchmarks import databases, posts, relay
from benchmarks.child import ROOT, Missing
from benchmarks.server import FLASK_APP, Server

OFF, INSTANT = "Flasky, no notification", "Flasky, relay instant"
FLASK = tuple(f"Flask {step}, relay {speed}" for step in ("6a", "6b") for speed in ("instant", "takes 2 s a mail"))
FAILING = ("Flasky, relay takes 2 s a mail", "Flasky, relay never answers", "Flasky, relay down")


def measure(database, scratch, rounds, quick):
    """Look at 20 posts a second, and at four visitors who never rest."""
    with ExitStack() as stack:
        servers = start_servers(database, scratch, stack)
        for crowd, seconds in ((posts.QUIET, 2.5), (posts.AT_ONCE, 1)):
            visits = (rounds, 1) if quick else (rounds * 2, seconds)
            samples = posts.by_turns(servers, *visits, crowd, beside=FLASK)
            yield from figures(database, samples, crowd)


def figures(database, samples, crowd):
    title = f"POST of a new name, {crowd.name}"
    p50, p95 = (posts.figure("request", title, database, samples, percent) for percent in (50, 95))
    posts.compare(p50, samples, 50, INSTANT, OFF, None)
    posts.compare(p95, samples, 95, INSTANT, OFF, 1.15)
    for label in FAILING:
        posts.compare(p95, samples, 95, label, INSTANT, 1.10)
    for label in (label for label in FLASK if label in samples and label.endswith("instant")):
        posts.compare(p95, samples, 95, label, INSTANT, None)
    p95.notes.append(posts.note(samples, crowd))
    return [p50, p95]


def start_servers(database, scratch, stack):
    """Return the servers by label."""

    def kept(thing):
        stack.callback(thing.stop)
        return thing

    instant, slow = kept(relay.loopback(scratch)), kept(relay.OwnServer(scratch, delay=2))
    relays = (instant, slow, kept(relay.Silent()), kept(relay.Down()))
    variants = [(OFF, instant, {"FLASKY_ADMIN": ""})]
    variants += [(label, server, {}) for label, server in zip((INSTANT, *FAILING), relays, strict=True)]
    servers = {}
    for label, server, others in variants:
        environment = databases.settings(database.new(), server, MAIL_DISPATCHER="threads", **NOTIFY | others)
        servers[label] = kept(Server(scratch, environment))
    if database.name == "MariaDB":  # the Flask program has no driver for it
        return servers
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
