"""What the queue does when the world misbehaves: `python -m benchmarks.simulate --seed 1`.

Nothing is sent and nobody sleeps: arrivals, threads, relay and database are modelled, and hours pass in seconds. The
rules are the real ones: flasky.mail.delivery is asked what becomes of a refused message and when it is tried again; the
order and the size of claims and the pauses between probes follow its and the worker's constants.
"""

import argparse
import heapq
import json
import math
import os
import random
from bisect import bisect_right
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import accumulate, count, islice, pairwise
from operator import attrgetter
from pathlib import Path
from statistics import mean, median
from types import SimpleNamespace

import django
from django.apps import apps
from django.conf import settings

if not apps.ready:  # under pytest they are
    os.environ.update(DJANGO_SETTINGS_MODULE="flasky.settings", ENV_FILE=os.devnull, SECRET_KEY="for no request")
    django.setup()

from benchmarks.figure import percentile
from flasky.mail import delivery, worker
from flasky.mail.models import State
from flasky.mail.replies import Reply
from flasky.mail.transports import base

RESULTS = Path(__file__).resolve().parent / "results.json"
MIDNIGHT = datetime(2026, 1, 1, tzinfo=timezone.utc)  # when the simulated clock starts
NEVER = math.inf
MINUTE, HOUR = 60, 3600  # s
CONNECTING = 9  # round trips: TCP, greeting, EHLO, STARTTLS, TLS, EHLO, and three for TLS 1.2 or a login
GREYLISTED = Reply.to("RCPT", 451, "4.7.1 Greylisted, please come back")
MOST_MESSAGES = 3_000_000  # in one scenario: for more, time and memory of a developer's machine are too small


@dataclass(frozen=True)
class Costs:
    """What the delivering process and its database need, in s; the other threads of the process wait meanwhile."""

    message: float  # to fetch, hand over and record one
    claim: float  # to ask what is due and to claim it, however many
    database: float  # the part of both for which all other processes wait, too


# What claims of 25 messages instead of 50 lose of the rate, and the database's part: see docs/performance.md.
SMALLER_CLAIMS_LOSE = {"SQLite": 0.10, "PostgreSQL": 0.16}
DATABASE_PART = {"SQLite": 0.68, "PostgreSQL": 0.38}


def measured_costs(database):
    """Return the costs with which the model drains over loopback exactly as fast as it was measured."""
    figures = json.loads(RESULTS.read_text())["figures"]
    rates = [one["values"]["Flasky"] for one in figures if (one["name"], one["database"]) == ("drain", database)]
    message, lost = 1 / median(rates[0]), SMALLER_CLAIMS_LOSE[database]
    claim = message * (1 / (1 - lost) - 1)  # its part of one message, in claims of 50
    return Costs(message - claim, claim * delivery.CLAIM_LIMIT, DATABASE_PART[database])


@dataclass(frozen=True)
class Relay:
    round_trip: float = 0.020  # s
    connecting: int = CONNECTING  # round trips
    service: float = 0.0  # s until the reply to a text, beside the round trip
    most_connections: float = NEVER  # the others get a 421
    outage: tuple[float, float] = (NEVER, NEVER)  # from, until: connections break and are refused
    slow: tuple[float, float] = (NEVER, NEVER)  # from, until
    slow_service: float = 0.0  # s, meanwhile
    greylisted: float = 0.0  # the part of the messages
    greylisted_for: float = 5 * MINUTE  # after the first attempt

    def is_down(self, now):
        return self.outage[0] <= now < self.outage[1]

    def seconds(self, now):
        """Return how long the relay takes for a message whose text leaves now."""
        return self.round_trip + (self.slow_service if self.slow[0] <= now < self.slow[1] else self.service)


@dataclass(frozen=True)
class Scenario:
    title: str
    relay: Relay = field(default_factory=Relay)
    lasts: float = 2 * HOUR  # in which mail arrives
    burst: tuple[float, float, float] = (NEVER, NEVER, 1)  # from, until, times the normal rate
    waiting: int = 0  # messages at the start

    @property
    def trouble_ends(self):
        return max((end for end in (self.relay.outage[1], self.relay.slow[1], self.burst[1]) if end < NEVER), default=0)


START = 10 * MINUTE  # of what goes wrong
SCENARIOS = {
    "baseline": Scenario("Nothing goes wrong", lasts=HOUR),
    "outage": Scenario("The relay is down for an hour", Relay(outage=(START, START + HOUR))),
    "slow": Scenario("The relay takes 2 s a mail for an hour", Relay(slow=(START, START + HOUR), slow_service=2.0)),
    "burst": Scenario("1,000 times the normal rate for a minute", lasts=HOUR, burst=(START, START + MINUTE, 1000)),
    "greylisting": Scenario("30 % of the mail is greylisted for 5 minutes", Relay(greylisted=0.3)),
    "crowded": Scenario("5 connections allowed, 20,000 mails waiting", Relay(most_connections=5), HOUR, waiting=20_000),
}


def arrivals(scenario, rate):
    """Yield the moments of a Poisson process, which has no memory: where its rate changes, it starts anew."""
    begin, end, factor = scenario.burst
    edges = sorted({0, scenario.lasts} | {edge for edge in (begin, end) if edge < scenario.lasts})
    for start, until in pairwise(edges):
        current = rate * factor if begin <= start < end else rate
        now = start + random.expovariate(current)
        while now < until:
            yield now
            now += random.expovariate(current)


class Message:
    __slots__ = ("attempts", "finished_at", "is_greylisted", "state", "stored_at")

    def __init__(self, stored_at, is_greylisted):
        self.stored_at = stored_at
        self.is_greylisted = is_greylisted
        self.attempts = []  # the moments at which its text left
        self.state = State.QUEUED
        self.finished_at = NEVER


class World:
    """The clock, the outbox, the database and the relay."""

    def __init__(self, scenario, rate, processes, threads, costs):
        self.relay, self.costs, self.threads = scenario.relay, costs, threads
        self.now = 0.0
        self.events, self.numbers = [], count()
        self.messages, self.unfinished = [], 0
        self.due, self.later = [], []  # heaps of (next_attempt_at, key): the order of claims
        self.database_free_at = 0.0
        self.connections = self.claims = self.refused_connections = 0
        self.processes = [Process(self) for _ in range(processes)]
        self.arrivals = arrivals(scenario, rate)
        for _ in range(scenario.waiting):
            self.store()

    def run(self):
        for process in self.processes:
            process.look_at(0.0)
        self.expect_arrival()
        while self.unfinished or self.arrivals:
            self.now, _, act, *details = heapq.heappop(self.events)
            act(*details)
        return self

    def at(self, moment, act, *details):
        heapq.heappush(self.events, (moment, next(self.numbers), act, *details))

    def expect_arrival(self):
        moment = next(self.arrivals, None)
        if moment is None:
            self.arrivals = None
        else:
            self.at(moment, self.arrive)

    def arrive(self):
        self.store()
        random.choice(self.processes).wake()  # the one whose request has stored it
        self.expect_arrival()

    def store(self):
        heapq.heappush(self.due, (self.now, len(self.messages)))
        self.messages.append(Message(self.now, random.random() < self.relay.greylisted))
        self.unfinished += 1

    def look(self):
        while self.later and self.later[0][0] <= self.now:
            heapq.heappush(self.due, heapq.heappop(self.later))

    def hold(self, process, seconds):
        """Return when the process is done with what takes it and its database so long."""
        begin = max(self.now, process.free_at, self.database_free_at)
        process.free_at = begin + seconds
        self.database_free_at = begin + seconds * self.costs.database
        return process.free_at

    def answer(self, key, text_left_at):
        """Let the relay answer, and do with the message what Flasky does then."""
        message = self.messages[key]
        message.attempts.append(text_left_at)
        if not message.is_greylisted or self.now - message.attempts[0] >= self.relay.greylisted_for:
            self.finish(message, State.SENT)
            return
        queued_at = date(message.stored_at)
        row = SimpleNamespace(outcomes={}, recipients=["to"], queued_at=queued_at, next_attempt_at=queued_at)
        fate = delivery._next_state(row, {"to": GREYLISTED}, date(self.now))
        if fate["state"] == State.QUEUED:
            heapq.heappush(self.later, ((fate["next_attempt_at"] - MIDNIGHT).total_seconds(), key))
        else:
            self.finish(message, State(fate["state"]))

    def finish(self, message, state):
        message.state, message.finished_at = state, self.now
        self.unfinished -= 1


def date(seconds):
    return MIDNIGHT + timedelta(seconds=seconds)


class Process:
    """A worker: the same looks, jobs and probes as flasky.mail.worker.Worker's."""

    def __init__(self, world):
        self.world = world
        self.busy = 0
        self.free_at = 0.0
        self.kept = []
        self.next_look, self.tidy_at = NEVER, 0.0
        self.in_trouble, self.pause, self.probe_at = False, 0.0, 0.0

    def wake(self):
        self.look_at(self.world.now + worker.BREATH)

    def look_at(self, moment):
        if moment < self.next_look:
            self.next_look = moment
            self.world.at(moment, self.look, moment)

    def look(self, planned_for):
        """Give due messages to free threads and plan the next look."""
        if planned_for != self.next_look:
            return  # it came earlier, because of a wake-up
        self.next_look, world = NEVER, self.world
        if world.now >= self.tidy_at:
            self.tidy_at = world.now + settings.MAIL_SWEEP_INTERVAL
            self.hang_up_idle()
        free = self.free_threads()
        world.look()
        for _ in range(min(free, len(world.due))):
            self.busy += 1
            Job(self).begin()
        self.look_at(max(self.seconds_to_next_look(free) + world.now, world.now + 0.01))

    def hang_up_idle(self):
        fresh = [connection for connection in self.kept if not connection.is_worn(self.world.now)]
        self.world.connections -= len(self.kept) - len(fresh)
        self.kept = fresh

    def free_threads(self):
        if self.in_trouble:
            return int(self.busy == 0 and self.world.now >= self.probe_at)
        return self.world.threads - self.busy

    def seconds_to_next_look(self, free):
        world, until = self.world, self.tidy_at
        if self.in_trouble and self.probe_at > world.now:
            until = min(until, self.probe_at)
        elif free and world.later and len(world.due) <= free:  # it looks no further than at so many
            until = min(until, world.later[0][0])
        return until - world.now

    def note_trouble(self):
        self.in_trouble = True
        if self.world.now >= self.probe_at:
            self.pause = min(max(worker.FIRST_PAUSE, self.pause * 2), worker.LONGEST_PAUSE)
            self.probe_at = self.world.now + self.pause * random.uniform(0.8, 1.2)

    def note_recovery(self):
        if self.in_trouble and self.world.now >= self.probe_at:
            self.in_trouble, self.pause = False, 0.0
            self.wake()


class Connection:
    def __init__(self, now):
        self.pace = 1.0  # s for a message, at first
        self.reset(now)

    def reset(self, now):
        self.mails, self.opened_at, self.idle_since = 0, now, now

    def is_worn(self, now):
        return self.mails >= base.KEEP_MAILS or now - self.idle_since > base.KEEP_IDLE


class Job:
    """One thread, from the moment it is given work until nothing is due or the relay is not available."""

    def __init__(self, process):
        self.process, self.world, self.relay = process, process.world, process.world.relay
        self.connection = None
        self.claim = deque()

    def begin(self):
        kept = self.process.kept
        while kept and self.connection is None:
            if kept[-1].is_worn(self.world.now):
                self.world.connections -= 1
                kept.pop()
            else:
                self.connection = kept.pop()
        if self.connection is None:
            self.connection = Connection(self.world.now)
            self.connect(self.world.now, self.take_share)
        else:
            self.take_share()

    def connect(self, now, then):
        round_trip = self.relay.round_trip
        if self.relay.is_down(now):
            self.world.at(now + round_trip, self.be_refused)
        elif self.world.connections >= self.relay.most_connections:
            self.world.at(now + 2 * round_trip, self.be_refused)
        else:
            self.world.connections += 1
            self.connection.reset(now)
            self.world.at(now + self.relay.connecting * round_trip, then)

    def be_refused(self):
        """Give back what was claimed: the first one, which may upset the relay, behind the others."""
        self.world.refused_connections += 1
        for number, (next_attempt_at, key) in enumerate(self.claim):
            heapq.heappush(self.world.due, (next_attempt_at if number else self.world.now, key))
        self.process.note_trouble()
        self.end()

    def take_share(self):
        world = self.world
        world.look()
        limit = share(self.connection.pace, len(world.due), world.threads)
        if not limit:
            self.connection.idle_since = world.now
            self.process.kept.append(self.connection)
            self.end()
            return
        self.claim.extend(heapq.heappop(world.due) for _ in range(limit))
        self.claimed, world.claims = limit, world.claims + 1
        self.started = world.hold(self.process, world.costs.claim)
        self.world.at(self.started, self.send_first)

    def send_first(self):
        """Say the envelope first; that of each later message travels with the text before it."""
        self.send(self.world.now, self.relay.round_trip)

    def send(self, now, ahead=0.0):
        connection = self.connection
        is_broken = connection.opened_at < self.relay.outage[0] <= now
        if is_broken or connection.mails >= base.KEEP_MAILS:
            self.world.connections -= 1
            self.connect(now, self.send_first)
            return
        connection.mails += 1
        self.world.at(now + ahead + self.relay.seconds(now + ahead), self.hear, now + ahead)

    def hear(self, text_left_at):
        _, key = self.claim.popleft()
        self.world.answer(key, text_left_at)
        self.process.note_recovery()
        recorded_at = self.world.hold(self.process, self.world.costs.message)
        if self.claim:
            self.send(recorded_at)
        else:
            self.connection.pace = (recorded_at - self.started) / self.claimed
            self.world.at(recorded_at, self.take_share)

    def end(self):
        self.process.busy -= 1
        self.process.wake()


def share(pace, due, threads):
    """Return how many messages a thread claims, as flasky.mail.delivery reckons it; a test holds the two together."""
    most = min(delivery.CLAIM_LIMIT, int(delivery.CLAIM_SECONDS / max(pace, 0.001)) or 1)
    return min(most, math.ceil(min(due, most * threads) / threads))


@contextmanager
def seeded(seed):
    """Make chance repeatable, also the jitter of the real rules, and leave everybody else's as it was."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def simulate(scenario, seed, rate, processes, threads, costs):
    """Return the world after the last message is finished."""
    with seeded(seed):
        return World(scenario, rate, processes, threads, costs).run()


def ages(world, moments):
    """Yield, for each moment, how long each message that waits then has waited, the longest first."""
    first, messages = 0, world.messages
    for moment in moments:
        while first < len(messages) and messages[first].finished_at <= moment:
            first += 1
        end = bisect_right(messages, moment, lo=first, key=attrgetter("stored_at"))
        yield [moment - each.stored_at for each in islice(messages, first, end) if each.finished_at > moment]


def at_percent(ordered, percent):
    """Return what `percent` per cent of the values do not exceed; the largest comes first."""
    return ordered[len(ordered) * (100 - percent) // 100] if ordered else 0.0


def peak(world):
    """Return the largest number of messages that waited at the same time."""
    changes = [(message.stored_at, 1) for message in world.messages]
    changes += [(message.finished_at, -1) for message in world.messages]
    return max(accumulate(change for _, change in sorted(changes)))


NORMAL = 5  # s; what has waited longer has met some trouble


def seconds_to_normal(world, scenario):
    """Return how long after the trouble's end the last message left that had waited longer than is normal."""
    late = [each.finished_at for each in world.messages if each.finished_at - each.stored_at > NORMAL]
    return max(0.0, max(late, default=0.0) - scenario.trouble_ends)


ROWS = 12  # of the table over time


def report(name, scenario, world):
    waits = [message.finished_at - message.stored_at for message in world.messages]
    attempts = [len(message.attempts) for message in world.messages]
    given_up = sum(message.state == State.FAILED for message in world.messages)
    print(f"\n## {name}: {scenario.title}\n")
    print(f"{len(waits):,} mails, {given_up} given up, {mean(attempts):.2f} attempts a mail, {world.claims:,} claims")
    p50, p99, longest = (duration(percentile(waits, percent)) for percent in (50, 99, 100))
    print(f"from stored to the relay's last word: p50 {p50}, p99 {p99}, longest {longest}")
    print(f"peak backlog {peak(world):,}, connections refused {world.refused_connections:,}")
    if (late := seconds_to_normal(world, scenario)) and not scenario.relay.greylisted:
        print(f"{duration(late)} after the trouble's end nobody waits for more than {NORMAL} s")
    print("\n| time | waiting | age p50 | p99 | max |\n|---|---|---|---|---|")
    moments = moments_of_interest(world, scenario, ROWS)[1:]
    for moment, waiting in zip(moments, ages(world, moments), strict=True):
        shown = " | ".join(duration(at_percent(waiting, percent)) for percent in (50, 99, 100))
        print(f"| {duration(moment)} | {len(waiting):,} | {shown} |")


def moments_of_interest(world, scenario, number):
    """Return moments from the start until all is normal again, and a little longer."""
    end = scenario.trouble_ends + seconds_to_normal(world, scenario)
    span = min(1.1 * end, world.now) if end else world.now
    return [span * step / number for step in range(number + 1)]


def duration(seconds):
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10 * MINUTE:
        return f"{seconds:.3g} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 10 * HOUR else f"{seconds / HOUR:.1f} h"


WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 110, 70, 26, 36  # px of a panel, and around it
TICKS = 150  # moments of a curve


def drawing(worlds):
    """Return an SVG with a panel for each world: the age of the oldest and of the median waiting mail over time."""
    panels = [panel(number, scenario, world) for number, (scenario, world) in enumerate(worlds.items())]
    height = (TOP + HEIGHT + GAP) * len(worlds)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *panels, "</svg>\n"])


def panel(number, scenario, world):
    moments = moments_of_interest(world, scenario, TICKS)
    curves = [[at_percent(waiting, percent) for percent in (100, 50)] for waiting in ages(world, moments)]
    highest = max(max(curve) for curve in curves) or 1
    lines = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="'
        + " ".join(
            f"{WIDTH * moment / moments[-1]:.1f},{HEIGHT * (1 - curve[which] / highest):.1f}"
            for moment, curve in zip(moments, curves, strict=True)
        )
        + '"/>'
        for which, colour in enumerate(("#1b5fae", "#8fb8e6"))
    )
    return (
        f'<g transform="translate({LEFT},{TOP + number * (TOP + HEIGHT + GAP)})">'
        f'<text y="-9" font-weight="bold">{scenario.title}</text>'
        f'<text x="{WIDTH}" y="-9" text-anchor="end">dark: the oldest waiting mail, light: the median</text>'
        f'<path d="M0 0V{HEIGHT}H{WIDTH}" fill="none" stroke="#7d8691"/>{lines}'
        f'<text x="-6" y="8" text-anchor="end">{duration(highest)}</text>'
        f'<text x="-6" y="{HEIGHT}" text-anchor="end">0</text><text y="{HEIGHT + 16}">0</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 16}" text-anchor="end">{duration(moments[-1])}</text></g>'
    )


def main(words=None):
    options = arguments(words)
    costs = measured_costs(options.database)
    print(
        f"{options.rate:g} mails/s, {options.processes} processes with {options.threads} threads, {options.database}, "
        f"seed {options.seed}"
    )
    worlds = {}
    for name in options.scenario:
        scenario = SCENARIOS[name]
        world = simulate(scenario, options.seed, options.rate, options.processes, options.threads, costs)
        report(name, scenario, world)
        if options.draw:
            worlds[scenario] = world
    if options.draw:
        options.draw.write_text(drawing(worlds))


def arguments(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=whole, default=1, help="the same seed gives the same numbers (1)")
    parser.add_argument("--scenario", default="", help=f"some of: {','.join(SCENARIOS)}; default: all")
    parser.add_argument("--rate", type=positive, default=11.6, help="mails a second (11.6: a million a day)")
    parser.add_argument("--processes", type=positive_whole, default=2, help="that deliver (2)")
    parser.add_argument("--threads", type=positive_whole, default=4, help="of each process: MAIL_WORKERS (4)")
    parser.add_argument("--database", choices=DATABASE_PART, default="PostgreSQL", help="whose measured costs count")
    parser.add_argument("--draw", type=Path, help="write the ages over time into this SVG file")
    options = parser.parse_args(words)
    options.scenario = options.scenario.split(",") if options.scenario else list(SCENARIOS)
    if unknown := set(options.scenario) - set(SCENARIOS):
        parser.error(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    for name in options.scenario:
        if (expected := expected_messages(SCENARIOS[name], options.rate)) > MOST_MESSAGES:
            parser.error(
                f"--rate {options.rate:g} means {expected:,.0f} mails in the scenario {name}; {MOST_MESSAGES:,} is the "
                "most that can be simulated: choose a lower rate or another scenario"
            )
    if options.draw and not options.draw.absolute().parent.is_dir():
        parser.error(f"--draw {options.draw}: there is no directory {options.draw.parent}")
    return options


def positive(text):
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < NEVER:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def whole(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def positive_whole(text):
    if not text.isdecimal() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 1000")
    return int(text)


def expected_messages(scenario, rate):
    begin, until, factor = scenario.burst
    extra = (until - begin) * (factor - 1) if until < NEVER else 0
    return scenario.waiting + rate * (scenario.lasts + extra)


if __name__ == "__main__":
    main()
