"""A process that delivers, with its threads and connections: what flasky.mail.delivery does, and when."""

import heapq
import math
import random
from collections import deque

from benchmarks.simulate.scenarios import NEVER
from flasky.mail.conf import conf
from flasky.mail.delivery import batches, worker
from flasky.mail.transports import base


class Process:
    """A worker: the same looks, jobs and probes as flasky.mail.delivery.worker.Worker's."""

    def __init__(self, world):
        self.world = world
        self.busy = 0
        self.free_at = 0.0
        self.kept = []
        self.next_look, self.tidy_at = NEVER, 0.0
        self.in_outage, self.pause, self.probe_at = False, 0.0, 0.0

    def wake(self):
        self.look_at(self.world.now + worker.YIELD)

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
            self.tidy_at = world.now + conf.MAIL_SWEEP_INTERVAL
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
        if self.in_outage:
            return int(self.busy == 0 and self.world.now >= self.probe_at)
        return self.world.threads - self.busy

    def seconds_to_next_look(self, free):
        world, until = self.world, self.tidy_at
        if self.in_outage and self.probe_at > world.now:
            until = min(until, self.probe_at)
        elif free and world.later and len(world.due) <= free:  # it looks no further than at so many
            until = min(until, world.later[0][0])
        return until - world.now

    def note_outage(self):
        self.in_outage = True
        if self.world.now >= self.probe_at:
            self.pause = min(max(worker.FIRST_PAUSE, self.pause * 2), worker.LONGEST_PAUSE)
            self.probe_at = self.world.now + self.pause * random.uniform(0.8, 1.2)

    def note_recovery(self):
        if self.in_outage and self.world.now >= self.probe_at:
            self.in_outage, self.pause = False, 0.0
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
            self.connect(self.world.now, self.take_batch)
        else:
            self.take_batch()

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
        self.process.note_outage()
        self.end()

    def take_batch(self):
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
            self.world.at(recorded_at, self.take_batch)

    def end(self):
        self.process.busy -= 1
        self.process.wake()


def share(pace, due, threads):
    """Return how many messages a thread claims, as flasky.mail.delivery reckons it; a test holds the two together."""
    most = min(batches.CLAIM_LIMIT, int(batches.CLAIM_SECONDS / max(pace, 0.001)) or 1)
    return min(most, math.ceil(min(due, most * threads) / threads))
