"""Flood the form, and see that nobody else is hurt: `python -m benchmarks.flood`.

10,000 new names are posted from one address, and 10,000 from 1,000, to the site as README.md starts it, with a database
of its own on the server of DATABASE_URL and a relay that takes everything. By turns, in the flood and in the quiet,
others look at the page and type names. Mails, disk, log and how long the others wait are held against what is promised.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import django

from benchmarks.flood import site
from benchmarks.flood.verdict import ROUNDS, complaints, table


def main(words=None):
    options = arguments(words)
    site.prepare()
    django.setup()
    # These need the settings.
    from benchmarks.flood.run import flood
    from flasky.drill.relay import FaultyRelay, running
    from flasky.drill.scratch import scratch_database

    with (
        tempfile.TemporaryDirectory(prefix="flasky-flood-", ignore_cleanup_errors=True) as folder,
        scratch_database() as name,
        running(FaultyRelay(lambda point: None)) as relay,
    ):
        found = flood(Path(folder), name, url_of(name), relay, options.posts, options.rounds)
    print(f"\n{table(found)}\n")
    if told := complaints(found):
        sys.exit("\n".join(["The flood did harm.", *told]))
    print(*filter(None, [found.unjudged, "The flood did no harm."]), sep="\n")


def arguments(words):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flood", description=__doc__.partition("\n")[0])
    parser.add_argument("--posts", type=positive, default=10_000, help="new names of each kind of flood (10000)")
    parser.add_argument(
        "--rounds", type=positive, default=ROUNDS, help=f"of each kind ({ROUNDS}); with fewer no time is judged"
    )
    return parser.parse_args(words)


def positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 upwards")
    return int(text)


def url_of(name):
    url = urlsplit(os.environ.get("DATABASE_URL") or "sqlite:///")
    return f"sqlite:///{name}" if url.scheme == "sqlite" else url._replace(path=f"/{name}").geturl()


if __name__ == "__main__":
    main()
