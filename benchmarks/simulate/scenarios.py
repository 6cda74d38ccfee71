"""What goes wrong, with which relay, and how much mail comes meanwhile."""

import math
from dataclasses import dataclass, field

NEVER = math.inf
MINUTE, HOUR = 60, 3600  # s
CONNECTING = 9  # round trips: TCP, greeting, EHLO, STARTTLS, TLS, EHLO, and three for TLS 1.2 or a login


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
    def outage_ends(self):
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


def expected_messages(scenario, rate):
    begin, until, factor = scenario.burst
    extra = (until - begin) * (factor - 1) if until < NEVER else 0
    return scenario.waiting + rate * (scenario.lasts + extra)
