"""Let robots and others loose on the site by turns, and count what has come of it."""

import time
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path
from statistics import median

from django.conf import settings

from accounts.models import User
from benchmarks.child import Child
from benchmarks.flood import site
from benchmarks.flood.verdict import BUSY, ROUNDS, SLOWER, UNNOTICED, Found, slower
from flasky.mail.conf import conf
from flasky.mail.limits.budget import PERIODS
from flasky.mail.models import OutboxMessage, State
from flasky.mail.storing.sensitive import ERROR

FLOODS = {"one address": 1, "1,000 addresses": 1000}
# Posts of the robots: a faster flood needs more of two cores than they have, refused or not.
PER_SECOND, AT_ONCE = 200, 1
QUIET = 1.5  # s
VISITS = 10  # of others, a second
PATIENCE = 60  # s for the mails to leave


def flood(folder, database, url, relay, posts, rounds):
    with site.serving(url, relay.port, folder / "log") as port:
        run = Run(folder, port, posts // rounds)
        try:
            run.warm_up()
            before, begun = site.database_bytes(database), time.time()
            for kind in FLOODS:
                run.rounds(kind, rounds)
                if rounds >= ROUNDS and run.others_waited_too_long(kind):
                    print("Others waited too long. It may have been by chance: once more.", flush=True)
                    run.rounds(kind, rounds)
            leave(time.monotonic() + PATIENCE)
            ended = time.time()
        finally:
            run.end()
    messages = list(OutboxMessage.objects.values_list("state", "message_id"))
    told = OutboxMessage.objects.filter(kind=ERROR).count()
    return Found(
        posted=run.posted,
        answers=run.answers,
        waits=run.waits,
        others=run.others,
        allowed=names_allowed(begun, ended),
        period=settings.NAME_PERIOD,
        stored=User.objects.count(),
        told=told,
        budget=mails_allowed(ended - begun),
        states=Counter(state for state, _ in messages),
        lost=[message_id for state, message_id in messages if state == State.SENT and not relay.accepted[message_id]],
        accepted=sum(relay.accepted.values()),
        grown=site.database_bytes(database) - before,
        lines=len((folder / "log").read_bytes().splitlines()),
        seconds=run.seconds,
        rounds=rounds,
        busy=median(run.busy),
        times=run.times,
    )


class Run:
    def __init__(self, folder, port, posts):
        self.port, self.posts = port, posts  # in each round
        self.robots, self.visitors = (Child(f"benchmarks.flood.{name}", folder) for name in ("robots", "visitors"))
        self.posted, self.seconds = 0, 0.0
        self.answers, self.waits, self.others = Counter(), Counter(), Counter()
        self.times = {}  # ms by kind of flood and what was done: blocks in the quiet, and blocks in the flood
        self.busy = []  # the share of this machine that something else used in the quiet

    def warm_up(self):
        """Let both processes of the site compile their templates, and all have a connection to the database."""
        self.visitors.ask("be_known", port=self.port)
        self.visitors.ask("visit", port=self.port, seconds=QUIET, per_second=20, with_new_names=False)

    def rounds(self, kind, rounds):
        blocks = {}
        for number in range(rounds):
            begun = time.monotonic()
            before = idle_and_all()
            self.visit(blocks, 0, kind, QUIET)
            idle, everything = (after - old for after, old in zip(idle_and_all(), before, strict=True))
            self.busy.append(1 - idle / everything)
            self.attack(blocks, kind, number, rounds)
            print(f"{kind}, round {number + 1} of {rounds}: {time.monotonic() - begun:.1f} s", flush=True)
        self.times |= {f"{what}, {kind}": each for what, each in blocks.items()}

    def attack(self, blocks, kind, number, rounds):
        self.robots.tell(
            "attack",
            port=self.port,
            addresses=addresses(FLOODS[kind], number, rounds),
            posts=self.posts,
            per_second=PER_SECOND,
            at_once=AT_ONCE,
        )
        self.visit(blocks, 1, kind, max(QUIET, 0.9 * self.posts / PER_SECOND))
        answer = self.robots.answer(300)
        self.posted += self.posts
        self.seconds += answer["seconds"]
        self.answers.update({int(status): count for status, count in answer["answers"].items()})
        self.waits.update(answer["waits"])

    def visit(self, blocks, is_flooded, kind, seconds):
        # While a thousand addresses flood it, the form takes nobody's new name any more.
        answer = self.visitors.ask(
            "visit", 300, port=self.port, seconds=seconds, per_second=VISITS, with_new_names=FLOODS[kind] == 1
        )
        self.others.update({int(status): count for status, count in answer["answers"].items()})
        for what, times in answer["times"].items():
            if times:
                blocks.setdefault(what, ([], []))[is_flooded].append(times)

    def others_waited_too_long(self, kind):
        waits = [slower(blocks)[1:] for what, blocks in self.times.items() if what.endswith(kind)]
        are_too_long = any(times > SLOWER and flooded > UNNOTICED for flooded, times in waits)
        return are_too_long and median(self.busy) <= BUSY

    def end(self):
        self.robots.stop()
        self.visitors.stop()


def idle_and_all():
    """Return how much time the cores of this machine were idle, and had in all."""
    times = [int(part) for part in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    return times[3] + times[4], sum(times)


def addresses(count, number, rounds):
    """Return this round's share of the addresses: real ones, of loopback."""
    if count == 1:
        return ["127.66.6.6"]
    share = count // rounds
    return [str(IPv4Address("127.100.0.0") + number * share + each) for each in range(share)]


def leave(deadline):
    """Wait until the mails that may leave have left."""
    waiting = OutboxMessage.objects.filter(state__in=[State.QUEUED, State.SENDING])
    while waiting.exists() and time.monotonic() < deadline:
        time.sleep(0.2)


def names_allowed(begun, ended):
    periods = ended // settings.NAME_PERIOD - begun // settings.NAME_PERIOD + 1
    return int(periods) * settings.NAMES_IN_TOTAL


def mails_allowed(seconds):
    """Return how many mails of one kind to one recipient may leave in so long; None if there is no limit."""
    shares = (conf.MAIL_BUDGET_RECIPIENT, conf.MAIL_BUDGET_KIND, conf.MAIL_BUDGET_TOTAL)
    limits = [limit for share in shares for limit in zip(PERIODS, share, strict=False)]
    return min((most * (int(seconds // period) + 2) for period, most in limits if most), default=None)
