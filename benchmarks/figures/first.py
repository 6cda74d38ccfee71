"""Whether a fresh process is as fast at its first mails as later."""

import time
from contextlib import ExitStack

from benchmarks import databases, relay
from benchmarks.child import Child
from benchmarks.figure import Figure
from benchmarks.figures.drain import WORKERS

FIRST, NEXT = "first", "next"


def measure(database, scratch, rounds, quick):
    figure = Figure("first", "The first mails of a fresh process", "mails/s", database.name)
    first, then, rest = (200, 1000, 200) if quick else (1000, 10_000, 1000)  # the end of a drain is another thing
    with ExitStack() as stack:
        server = relay.loopback(scratch)
        stack.callback(server.stop)
        environment = databases.settings(database.new(), server, MAIL_WORKERS=str(WORKERS))
        for _ in range(rounds):
            fill(scratch, environment, first + then + rest)
            for label, rate in rates(scratch, environment, server, first, then):
                figure.add(label, rate)
    figure.ratio(FIRST, NEXT, 0.9, at_least=True)
    figure.notes.append(f"The first {first:,} mails, from the order to deliver on, and the next {then:,}")
    return figure


def fill(scratch, environment, count):
    child = Child("benchmarks.peers.flasky", scratch, environment)
    try:
        child.ask("clear", 120)
        child.ask("fill", 120, waiting=count)
    finally:
        child.stop()


def rates(scratch, environment, server, first, then):
    """Start a process that has delivered nothing yet; return the rates as the relay sees them."""
    child = Child("benchmarks.peers.flasky", scratch, environment)
    try:
        child.ask("peak_memory")  # it has started, with all that is imported then
        before, begun = server.accepted(), time.perf_counter()
        child.tell("drain")
        middle = server.when_accepted(before + first)
        end = server.when_accepted(before + first + then)
        child.answer(300)
    finally:
        child.stop()
    yield FIRST, (middle[1] - before) / (middle[0] - begun)
    yield NEXT, (end[1] - middle[1]) / (end[0] - middle[0])
