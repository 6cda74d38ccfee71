"""The world that mail passes through: `simulate()` returns it when the last message is finished."""

import heapq
import random
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import count, pairwise
from types import SimpleNamespace

from benchmarks.simulate.process import Process
from benchmarks.simulate.scenarios import NEVER
from flasky.mail.delivery import outcomes
from flasky.mail.delivery.giving_up import is_old
from flasky.mail.models import State
from flasky.mail.transports.replies import Reply

MIDNIGHT = datetime(2026, 1, 1, tzinfo=timezone.utc)  # when the simulated clock starts
GREYLISTED = Reply.to("RCPT", 451, "4.7.1 Greylisted, please come back")


def simulate(scenario, seed, rate, processes, threads, costs):
    """Return the world after the last message is finished."""
    with seeded(seed):
        return World(scenario, rate, processes, threads, costs).run()


@contextmanager
def seeded(seed):
    """Make chance repeatable, also the jitter of the real rules, and leave everybody else's as it was."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


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
        changes = outcomes.next_state(row, {"to": GREYLISTED}, 0, date(self.now), is_old)
        if changes["state"] == State.QUEUED:
            heapq.heappush(self.later, ((changes["next_attempt_at"] - MIDNIGHT).total_seconds(), key))
        else:
            self.finish(message, State(changes["state"]))

    def finish(self, message, state):
        message.state, message.finished_at = state, self.now
        self.unfinished -= 1


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


def date(seconds):
    return MIDNIGHT + timedelta(seconds=seconds)
