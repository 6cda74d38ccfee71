"""Say where the time of storing and of delivering a mail goes: `python -m benchmarks.profile`."""

import argparse
import re
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import databases, relay
from benchmarks.child import Child, Missing
from benchmarks.figures.drain import WORKERS
from benchmarks.profile import servers, steps

SUBJECT = "benchmarks.profile.subject"


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="flasky-profile-", ignore_cleanup_errors=True) as scratch:
        chosen, missing = databases.chosen(options.database, Path(scratch))
        print(*missing, sep="\n", end="\n" * bool(missing))
        try:
            for database in chosen:
                with ExitStack() as stack:
                    mail_server = relay.loopback(Path(scratch))
                    stack.callback(mail_server.stop)
                    Profile(database, Path(scratch), mail_server, options).run()
        finally:
            for database in chosen:
                database.remove()


def arguments():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--database", default="", help="sqlite, postgres, mariadb or a URL; default: all that answer")
    parser.add_argument("--only", default="store,drain", help="store, drain or both, the default")
    parser.add_argument("--count", type=int, default=2000, help="mails of each part; default: 2000")
    parser.add_argument("--peer", default="flasky", choices=("flasky", "post_office"), help="whom to look at")
    parser.add_argument("--functions", type=int, default=25, help="lines of each list of functions; default: 25")
    return parser.parse_args()


class Profile:
    def __init__(self, database, scratch, mail_server, options):
        self.database, self.scratch, self.mail_server, self.options = database, scratch, mail_server, options
        self.count = options.count

    def run(self):
        self.environment = databases.settings(
            self.database.new(),
            self.mail_server,
            peer=self.options.peer != "flasky",
            MAIL_WORKERS=str(WORKERS),
            PROFILED=self.options.peer,
        )
        self.limits = self.find_limits()
        for work in self.options.only.split(","):
            print(f"\n=== {self.options.peer}: {work}, {self.database.name}, {self.count:,} mails\n")
            self.show_statements(work)
            if self.options.peer == "flasky" or work == "store":  # cProfile sees one thread only
                self.show_functions(work)

    def find_limits(self):
        """Return, in µs, what no program here can be faster than, and print it."""
        child = self.child()
        limits = child.ask("commits", count=500)["commits"]
        child.stop()
        line = Child("benchmarks.peers.smtp_limit", self.scratch, self.environment)
        line.ask("store", count=5000)
        answer = line.ask("drain")
        line.stop()
        limits |= {steps.LINE: answer["seconds"] / 5000, "CPU of this": answer["cpu_seconds"] / 5000}
        print(f"\nLimits on this machine, {self.database.name}, one after the other:")
        for label, seconds in limits.items():
            print(f"  {1e6 * seconds:8.0f} µs  {label}", flush=True)
        return {label: 1e6 * seconds for label, seconds in limits.items()}

    def show_statements(self, work):
        """Work as in life: four threads deliver. Count what the process and the server see."""
        self.prepare(work)
        server = servers.watch(self.environment["DATABASE_URL"])
        child = self.child()
        child.ask("watch")
        server.start()
        answer = child.ask(work, 600, **({"count": self.count} if work == "store" else {}))
        noted = child.ask("noted")
        totals, lines = [], []
        if self.database.name == "SQLite":  # the last connection would empty the log
            totals, lines = server.counts()
        child.stop()
        if not totals:
            time.sleep(1)  # the server's processes report when they end
            totals, lines = server.counts()
        server.close()
        wall, cpu = (1e6 * answer[name] / self.count for name in ("seconds", "cpu_seconds"))
        rate = self.count / answer["seconds"]
        print(f"{wall:.0f} µs a mail ({rate:,.0f} mails/s), {cpu:.0f} µs of CPU in the process")
        print("As the process sees it, a mail:\n    times       µs")
        for text, times, seconds in statements(noted):
            print(f"  {times / self.count:7.3f} {1e6 * seconds / self.count:8.1f}  {text}")
        self.show_lock(noted, answer["seconds"])
        print("As the database counts it, a mail:")
        for name, total in totals:
            print(f"  {total / self.count:10.2f}  {name}")
        for line in lines:
            print("  " + re.sub(r"{(\d+)}", lambda found: f"{int(found[1]) / self.count:.3g}", line))
        print(flush=True)

    def show_lock(self, noted, seconds):
        """SQLite has one writer at a time: who is it, how long, and who waits for it?"""
        for title, notes in (("write lock held", noted["held"]), ("waited for it", noted["waited"])):
            for cause, times, total, longest in sorted(notes, key=lambda one: -one[2]):
                print(
                    f"  {title}: {100 * total / seconds:5.1f} % of the time, {times / self.count:.3f} times a mail, "
                    f"{1e6 * total / times:.0f} µs each, {1000 * longest:.1f} ms at most: {cause}"
                )

    def show_functions(self, work):
        self.prepare(work)
        child = self.child()
        found = child.ask("functions", 600, work=work, count=self.count)["functions"]
        child.stop()
        print("cProfile, one thread, µs a mail, which cost more than without it:")
        if self.options.peer == "flasky":
            steps.show(work, found, self.limits)
        print("   itself")
        for name, itself in steps.by_package(found)[:15]:
            print(f"  {itself:7.1f}  {name}")
        print("\n    calls   itself  with all it calls")
        own = [one for one in found if one[0].startswith(("flasky.", "accounts.", f"{self.options.peer}."))]
        for chosen, key in ((own, 3), (found, 2)):
            for name, calls, itself, together in sorted(chosen, key=lambda one: -one[key])[: self.options.functions]:
                print(f"  {calls:7.2f} {itself:8.1f} {together:8.1f}  {name}")
            print(flush=True)

    def prepare(self, work):
        child = self.child()
        child.ask("clear", 120)
        if work == "drain":
            child.ask("fill", 300, waiting=self.count)
        child.stop()

    def child(self):
        return Child(SUBJECT, self.scratch, self.environment)


def statements(noted):
    """Return those that took the longest, and the sum of all; what differs in the number of values is one."""
    sums = {}
    for cause, sql, times, seconds in noted["statements"]:
        one = sums.setdefault(f"{cause}: {telling(sql)}", [0, 0.0])
        one[0] += times
        one[1] += seconds
    everything = ["all", sum(times for times, _ in sums.values()), sum(seconds for _, seconds in sums.values())]
    return [*([text, *one] for text, one in sorted(sums.items(), key=lambda item: -item[1][1])[:15]), everything]


def telling(sql):
    """Leave out lists of columns."""
    sql = re.sub(r'["`]?flasky_mail_(\w+?)["`]?\.', "", sql)
    sql = re.sub(r'(["`]?\w+["`]?(?: = %s)?, ){3,}', "… ", sql)
    sql = re.sub(r"((_binary )?%s, )+%s", "…", sql)
    return re.sub(r"(\(…\), )+\(…\)", "(…)", sql).replace("(%s)", "(…)")[:150]


if __name__ == "__main__":
    try:
        main()
    except Missing as reason:
        raise SystemExit(str(reason)) from reason
