"""What came of a scenario, in words and in a table."""

from statistics import mean

from benchmarks.figure import percentile
from benchmarks.simulate.ages import NORMAL, ages, at_percent, moments_of_interest, peak, seconds_to_normal
from benchmarks.simulate.scenarios import HOUR, MINUTE
from flasky.mail.models import State

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
        print(f"{duration(late)} after the outage's end nobody waits for more than {NORMAL} s")
    print("\n| time | waiting | age p50 | p99 | max |\n|---|---|---|---|---|")
    moments = moments_of_interest(world, scenario, ROWS)[1:]
    for moment, waiting in zip(moments, ages(world, moments), strict=True):
        shown = " | ".join(duration(at_percent(waiting, percent)) for percent in (50, 99, 100))
        print(f"| {duration(moment)} | {len(waiting):,} | {shown} |")


def duration(seconds):
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10 * MINUTE:
        return f"{seconds:.3g} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 10 * HOUR else f"{seconds / HOUR:.1f} h"
