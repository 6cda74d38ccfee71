"""Measure Flasky beside its peers: `python -m benchmarks`, or `make bench`."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks import databases, plot, report
from benchmarks.child import Missing
from benchmarks.figures import broker, drain, growth, idle, latency, limits, look, request, store

HERE = Path(__file__).resolve().parent
FIGURES = {
    "store": store.measure,
    "drain": drain.loopback,
    "distance": drain.distance,
    "latency": latency.measure,
    "limits": limits.measure,
    "idle": idle.measure,
    "request": request.measure,
    "broker": broker.measure,
    "growth": growth.measure,
    "look": look.measure,
}


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    with tempfile.TemporaryDirectory(prefix="flasky-benchmarks-", ignore_cleanup_errors=True) as scratch:
        chosen, missing = databases.chosen(options.database, Path(scratch))
        print(*missing, sep="\n", end="\n" * bool(missing))
        try:
            figures = list(measured(options, chosen, Path(scratch)))
        finally:
            for database in chosen:
                database.remove()
    everything = report.save(figures, HERE / ("quick.json" if options.quick else "results.json"))
    plot.draw(everything, HERE / "quick.svg" if options.quick else HERE.parent / "docs" / "performance.svg")
    report.summary(figures)


def arguments():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--database", default="", help="sqlite, postgres or a postgres:// URL; default: both")
    parser.add_argument("--only", default="", help=f"some of: {','.join(FIGURES)}")
    parser.add_argument("--rounds", type=int, default=0, help="rounds per figure; default: 5, with --quick 2")
    parser.add_argument("--quick", action="store_true", help="small counts: to see whether it works, not how fast")
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else list(FIGURES)
    if unknown := set(options.only) - set(FIGURES):
        parser.error(f"no figure is called {', '.join(unknown)}; there are {', '.join(FIGURES)}")
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def measured(options, chosen, scratch):
    for name in options.only:
        for database in chosen:
            print(f"Measuring: {name}, {database.name}", flush=True)
            try:
                result = FIGURES[name](database, scratch, options.rounds, options.quick)
            except Missing as reason:
                print(f"\n{name}, {database.name}: not measured. {reason}")
                continue
            for figure in result if isinstance(result, list) else [result]:
                report.table(figure)
                yield figure


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
