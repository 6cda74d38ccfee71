"""Interleave two who work on the same mail: each asks before every step, and one at a time is let go on.

Each is a process. Whoever would wait for the other's lock is found out, and the other goes on first.
"""

import json
import os
import random
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import connection, connections
from django.db.models.functions import Now

from flasky.mail.delivery import deliver_due
from flasky.mail.dispatchers import inline
from flasky.mail.models import OutboxMessage, State
from tests.steps.forks import child, exit_status, in_a_child
from tests.steps.oracle import Oracle, end_the_story
from tests.steps.points import BEFORE, Step, as_if_a_day_later, watch
from tests.steps.story import PERSON

PATIENCE = 60  # s until a schedule counts as stuck
LOOK = 0.02  # s for a step, until the database is asked whether it waits for a lock
WAITING = {
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type='Lock' AND datname=current_database()",
    "mysql": "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}
SWITCHES = 0.25  # of the steps of a random schedule


def deliver():
    settings.MAIL_WORKERS = 2  # so each leaves half to the other
    deliver_due()


def rescue():
    """Look, when all leases have run out, for what the dead have left; then deliver."""
    settings.MAIL_WORKERS = 2
    OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=Now() - timedelta(seconds=1))
    inline._looked_at = 0.0
    inline.wake()


def decide():
    OutboxMessage.objects.all().hold(PERSON)
    OutboxMessage.objects.all().release(PERSON)
    OutboxMessage.objects.all().requeue(PERSON)


SCENES = {"two deliverers": (deliver, deliver), "a rescuer": (deliver, rescue), "a person": (deliver, decide)}


@dataclass(frozen=True)
class Schedule:
    """Whoever begins takes `first` steps and the other `second`, then each goes on to its end.

    With a seed, all is left to chance.
    """

    scene: str
    beginner: int = 0
    first: int = 0
    second: int = 0
    seed: int | None = None

    def __str__(self):
        if self.seed is not None:
            return f"{self.scene}, seed {self.seed}"
        return f"{self.scene}: {self.first} steps of {self.beginner}, {self.second} of the other, and both to the end"


@dataclass
class End:
    run: Schedule
    complaints: list
    taken: tuple  # steps, by each
    has_more: bool = False  # the other could have taken one step more before the second switch


class Actor:
    """A process that asks before each step."""

    def __init__(self, act):
        self._asked, asking = os.pipe()
        going, self._go = os.pipe()
        self.pid = child(_play_along, act, asking, going)
        os.close(asking)
        os.close(going)
        self._lines = os.fdopen(self._asked, buffering=1)
        self.step, self.steps, self.has_lock, self.is_waiting = Step("", "", ""), 0, False, False

    def arrive(self, seconds):
        """Return whether it is before its next step, or at its end, within that time."""
        if not select.select([self._asked], [], [], seconds)[0]:
            return False
        line, taken = self._lines.readline(), self.step.what
        self.has_lock = (
            bool(line) and (self.has_lock or taken.startswith("BEGIN")) and taken not in ("COMMIT", "ROLLBACK")
        )
        self.step, self.is_waiting = Step(*json.loads(line)) if line else None, False
        return True

    @property
    def is_over(self):
        return self.step is None

    def go(self):
        self.steps += 1
        os.write(self._go, b".")

    def end(self):
        """Return what is wrong with its end."""
        if not self.is_over:
            os.kill(self.pid, signal.SIGKILL)
        self._lines.close()
        os.close(self._go)
        status = exit_status(self.pid)
        return [f"a process ended with status {status}"] if status else []


def _play_along(act, asking, going):
    def at(number, step, when, reach):
        if when == BEFORE:
            os.write(asking, json.dumps(step).encode() + b"\n")
            os.read(going, 1)

    watch(at)
    as_if_a_day_later()
    try:
        with suppress(Exception):  # its caller is told; the oracle looks at what is left
            act()
    finally:
        connections.close_all()


class Pair:
    """Two actors, of whom one goes on at a time."""

    def __init__(self, acts):
        self.actors = [Actor(act) for act in acts]
        for actor in self.actors:
            actor.arrive(PATIENCE)

    def can_go(self, whose):
        actor, other = self.actors[whose], self.actors[1 - whose]
        if actor.is_over or actor.is_waiting:
            return False
        # SQLite has one lock, for which whoever begins to write would wait.
        begins = actor.step.what.startswith("BEGIN") or (actor.step.writes and not actor.has_lock)
        return not (connection.vendor == "sqlite" and other.has_lock and begins)

    def go(self, whose):
        """Let one take a step; return whether it could."""
        if not self.can_go(whose):
            return False
        actor, other = self.actors[whose], self.actors[1 - whose]
        actor.go()
        deadline = time.monotonic() + PATIENCE
        while not actor.arrive(LOOK):
            if time.monotonic() > deadline or _is_somebody_waiting():
                actor.is_waiting = True
                break
        while other.is_waiting and not other.arrive(LOOK):
            if time.monotonic() > deadline or _is_somebody_waiting():
                break
        return True

    def go_on(self, whose, steps):
        """Let one take so many steps; return whether it could go on then."""
        while steps and self.go(whose):
            steps -= 1
        return not steps and self.can_go(whose)

    def finish(self, beginner):
        """Let both go on to their ends, one of them first; return whether they could."""
        while not self.is_over:
            if not (self.go(beginner) or self.go(1 - beginner)):
                return False
        return True

    def go_by_chance(self, seed):
        dice, whose = random.Random(seed), 0
        while not self.is_over:
            whose ^= dice.random() < SWITCHES
            if not (self.go(whose) or self.go(1 - whose)):
                return False
        return True

    @property
    def is_over(self):
        return all(actor.is_over for actor in self.actors)


def _is_somebody_waiting():
    if connection.vendor not in WAITING:
        return False
    with connection.cursor() as cursor:
        cursor.execute(WAITING[connection.vendor])
        return bool(cursor.fetchone()[0])


def play(theatre, schedule):
    """Return the End of a schedule."""
    relay = theatre.prepare()
    pair, has_more = Pair(SCENES[schedule.scene]), False
    if schedule.seed is None:
        pair.go_on(schedule.beginner, schedule.first)
        has_more = pair.go_on(1 - schedule.beginner, schedule.second)
        could = pair.finish(schedule.beginner)
    else:
        could = pair.go_by_chance(schedule.seed)
    complaints = [] if could else ["both wait for each other: " + " and ".join(str(each.step) for each in pair.actors)]
    complaints += [complaint for actor in pair.actors for complaint in actor.end()]
    connections.close_all()
    judged, status = in_a_child(judge, schedule, relay)
    complaints += [words[0] for _, words in judged] + ([f"the judge ended with status {status}"] if status else [])
    return End(schedule, complaints, tuple(actor.steps for actor in pair.actors), has_more)


def judge(say, schedule, relay):
    end_the_story()
    left = None if schedule.scene == "a rescuer" else 0
    for complaint in Oracle(set(), relay.taken(), left).complaints():
        say("complaint", complaint)


def beginnings(alone):
    """Return each schedule with one switch, for the ends of those who were not interrupted."""
    return [
        Schedule(end.run.scene, end.run.beginner, first)
        for end in alone
        for first in range(end.taken[end.run.beginner])
        if not (end.run.scene == "two deliverers" and end.run.beginner)  # they are alike
    ]


def play_with_each_second(theatre, beginning):
    """Yield the End of each schedule that begins so and switches back once."""
    end = End(beginning, [], (), has_more=True)
    while end.has_more:
        end = play(theatre, replace(end.run, second=end.run.second + 1))
        yield end
