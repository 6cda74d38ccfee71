"""What the queue does when the world misbehaves: `python -m benchmarks.simulate --seed 1`."""

import argparse
from pathlib import Path

from benchmarks.simulate.costs import DATABASE_PART, measured_costs
from benchmarks.simulate.drawing import drawing
from benchmarks.simulate.report import report
from benchmarks.simulate.scenarios import NEVER, SCENARIOS, expected_messages
from benchmarks.simulate.world import simulate

MOST_MESSAGES = 3_000_000  # in one scenario: for more, time and memory of a developer's machine are too small


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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate", description=__doc__)
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


if __name__ == "__main__":
    main()
