"""Measure Flasky beside its peers: `python -m benchmarks`, or `make bench`."""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from benchmarks import comparison, databases, docs, report
from benchmarks.about import about
from benchmarks.child import Missing
from benchmarks.figure import Figure
from benchmarks.figures import broker, drain, first, growth, idle, latency, limits, look, request, store

HERE = Path(__file__).resolve().parent
FIGURES = {
    "store": store.measure,
    "drain": drain.loopback,
    "first": first.measure,
    "distance": drain.distance,
    "latency": latency.measure,
    "idle": idle.measure,
    "request": request.measure,
    "growth": growth.measure,
    "limits": limits.measure,
    "broker": broker.measure,
    "look": look.measure,
}
BY_NAME_ONLY = ("limits", "broker", "look")
ON_MARIADB = ("store", "drain")  # unless it is named


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    path = HERE / ("quick.json" if options.quick else "results.json")
    last, began = report.load(path), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flasky-benchmarks-", ignore_cleanup_errors=True) as scratch:
        chosen, missing = databases.chosen(options.database, Path(scratch))
        print(*missing, sep="\n", end="\n" * bool(missing))
        try:
            figures = list(measured(options, chosen, Path(scratch)))
        finally:
            for database in chosen:
                database.remove()
    report.save(figures, path, list(FIGURES))
    report.summary(figures)
    comparison.show(last, figures)
    print(f"\nAll this took {(time.monotonic() - began) / 60:.0f} minutes.")
    if not options.quick:
        docs.write()


def arguments():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--database", default="", help="sqlite, postgres, mariadb or a URL; default: all that answer")
    parser.add_argument("--only", default="", help=f"some of: {','.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each figure; default: 5, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="small counts: to see whether it works, not how fast")
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else [name for name in FIGURES if name not in BY_NAME_ONLY]
    if unknown := set(options.only) - set(FIGURES):
        parser.error(f"no figure is called {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def measured(options, chosen, scratch):
    for name in options.only:
        for database in chosen:
            if database.name == "MariaDB" and name not in ON_MARIADB and len(chosen) > 1:
                continue
            print(f"Measuring: {name}, {database.name}, since {time.strftime('%H:%M:%S')}", flush=True)
            known = about(database, options.rounds)
            try:
                for figure in each(FIGURES[name](database, scratch, options.rounds, options.quick)):
                    figure.about = known
                    report.table(figure)
                    yield figure
            except Missing as reason:
                print(f"\n{name}, {database.name}: not measured. {reason}")
            except Exception:  # the figures of half an hour are not thrown away for one of them
                print(f"\n{name}, {database.name}: failed, and is not measured.")
                traceback.print_exc()


def each(result):
    """Return all figures of what one, a list or a generator of these has in it."""
    return [result] if isinstance(result, Figure) else [figure for part in result for figure in each(part)]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
