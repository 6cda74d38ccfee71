"""Stop the story at every step, and interleave two who deliver: python -m tests.steps --help"""

import argparse
import os
import random
import resource
import sys
import time
from collections import Counter

from tests.steps.stage import Stage, set_up

MOST_FAILED = 20  # runs, after which the others are left out
SCHEDULES = "schedules"
BY_CHANCE = 300  # schedules with more than two switches, of each scene


def main():
    options = read_arguments()
    set_up(options.verbose)
    from tests.steps.faults import ACTS

    acts = options.act or [*ACTS, SCHEDULES]
    failed = on_a_stage(stop_at_every_step, options, acts=[act for act in acts if act != SCHEDULES])
    if SCHEDULES in acts and not failed:
        failed = on_a_stage(interleave, options, mail=True)
    sys.exit(bool(failed))


def on_a_stage(play, options, mail=False, **arguments):
    """Return whether something failed."""
    stage, started = Stage(options.processes, mail), time.monotonic()
    try:
        counts, failed = play(stage, options, **arguments)
    finally:
        stage.leave()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    what = ", ".join(f"{count} x {name}" for name, count in counts.items())
    seconds = f"{time.monotonic() - started:.0f} s, of CPU {used.ru_utime + used.ru_stime:.0f} s"
    print(f"{stage.connection.vendor}: {what}; {failed} failed; {seconds}")
    return failed


def stop_at_every_step(stage, options, acts):
    from tests.steps.forks import shared
    from tests.steps.runs import Run, all_runs, play
    from tests.steps.theatre import in_theatres

    counts, work = Counter(), in_theatres(stage, lambda theatre, run: [play(theatre, run)])
    if not acts:
        return counts, 0
    undisturbed = list(shared([Run(groups=groups) for groups in (True, False)], 1, work))
    counts["steps"] = sum(len(end.steps) for end in undisturbed)
    if failed := sum(map(show, undisturbed)):
        return counts, failed
    if options.verbose:
        print(*(f"{number} {step}" for number, step in enumerate(undisturbed[0].steps)), sep="\n")
    runs = a_part(all_runs(acts, undisturbed), options)
    runs = [run for run in runs if options.point in (None, run.number)]
    return counts, watch(shared(runs, options.processes, work), counts, lambda run: run.act)


def interleave(stage, options):
    from tests.steps.forks import shared
    from tests.steps.schedules import SCENES, Schedule, beginnings, play, play_with_each_second
    from tests.steps.theatre import in_theatres

    counts, one = Counter(), in_theatres(stage, lambda theatre, schedule: [play(theatre, schedule)])
    alone = list(shared([Schedule(scene, beginner) for scene in SCENES for beginner in (0, 1)], 1, one))
    if failed := sum(map(show, alone)):
        return counts, failed
    begun = a_part(beginnings(alone), options)
    failed = watch(shared(begun, options.processes, in_theatres(stage, play_with_each_second)), counts, str_of_scene)
    by_chance = [Schedule(scene, seed=options.seed + number) for scene in SCENES for number in range(BY_CHANCE)]
    return counts, failed + watch(shared(a_part(by_chance, options), options.processes, one), counts, str_of_scene)


def str_of_scene(schedule):
    return schedule.scene if schedule.seed is None else f"{schedule.scene} by chance"


def a_part(runs, options):
    runs = random.Random(options.seed).sample(runs, len(runs))
    return runs[: max(len(runs) // options.part, 1)]


def watch(ends, counts, name):
    """Count the ends, show those that failed, and return how many did."""
    failed = 0
    for end in ends:
        counts[name(end.run)] += 1
        failed += show(end)
        if sys.stderr.isatty():
            print(f"\r{counts.total()}", end="", file=sys.stderr, flush=True)
        if failed == MOST_FAILED:
            break
    return failed


def show(end):
    """Print what is wrong, and return whether something is."""
    if end.complaints:
        print(end.run, *(f"    {complaint}" for complaint in end.complaints), sep="\n", flush=True)
    return bool(end.complaints)


def read_arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.steps", description=__doc__.partition(":")[0])
    parser.add_argument("--act", action="append", help="only this: death, stop, an error, schedules; may be repeated")
    parser.add_argument("--part", type=int, default=1, metavar="N", help="play one in N, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--point", type=int, help="only the step with this number")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("-v", "--verbose", action="store_true", help="list the steps, and show the log")
    return parser.parse_args()


main()
