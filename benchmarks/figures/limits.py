"""What MAIL_RATE, MAIL_MAX_CONNECTIONS and priorities cost while they hold nobody up: CPU time and statements."""

from contextlib import ExitStack

from benchmarks import databases, relay
from benchmarks.child import Child
from benchmarks.figure import Figure
from benchmarks.figures.drain import WORKERS

NEITHER, PRIORITIES = "no limit", "no limit, three priorities"
RATE, CONNECTIONS = {"MAIL_RATE": "1000000"}, {"MAIL_MAX_CONNECTIONS": str(WORKERS)}
SETTINGS = {
    NEITHER: {},
    "MAIL_RATE": RATE,
    "MAIL_MAX_CONNECTIONS": CONNECTIONS,
    "both": RATE | CONNECTIONS,
    PRIORITIES: {},
}
MIXED = ["urgent", "normal", "bulk"]


def measure(database, scratch, rounds, quick):
    storing = Figure("limits", "Storing a mail, CPU time", "ms", database.name)
    delivering = Figure("limits", "Delivering a mail, CPU time", "ms", database.name)
    count = 200 if quick else 1000
    with ExitStack() as stack:
        server = relay.loopback(scratch)
        stack.callback(server.stop)
        children = {}
        for label, limits in SETTINGS.items():
            environment = databases.settings(database.new(), server, MAIL_WORKERS=str(WORKERS), **limits)
            children[label] = Child("benchmarks.peers.flasky", scratch, environment)
            stack.callback(children[label].stop)
        for number in range(rounds + 1):
            for label, child in children.items():
                stored, delivered = one_round(child, server, label, count)
                if number:  # the first round is for warming up
                    storing.add(label, 1000 * stored["cpu_seconds"] / count)
                    delivering.add(label, 1000 * delivered["cpu_seconds"] / count)
        for label, child in children.items():
            child.ask("note_queries")
            child.ask("clear")
            child.ask("count_queries")
            child.ask("store", 300, count=count, **priorities(label))
            storing.notes.append(f"Statements a mail, {label}: {child.ask('count_queries')['queries'] / count:.2f}")
            child.ask("drain", 300)
            delivering.notes.append(f"Statements a mail, {label}: {child.ask('count_queries')['queries'] / count:.2f}")
    for figure in (storing, delivering):
        for label in list(SETTINGS)[1:]:
            figure.ratio(label, NEITHER)
    delivering.notes.append(f"{count} mails a round; BEGIN and COMMIT are not counted as statements")
    return [storing, delivering]


def one_round(child, server, label, count):
    child.ask("clear", 120)
    stored = child.ask("store", 300, count=count, **priorities(label))
    child.ask("settle", 120)
    before = server.accepted()
    delivered = child.ask("drain", 300)
    assert server.accepted() - before == count, f"{label}: not all mails were accepted"
    return stored, delivered


def priorities(label):
    return {"priorities": MIXED} if label == PRIORITIES else {}
