"""What a serving process costs while no mail waits: CPU time, and queries per look into the outbox."""

from contextlib import ExitStack

from benchmarks import databases, relay
from benchmarks.child import Child
from benchmarks.figure import Figure
from benchmarks.plans import read_whole

QUERIES = 3  # a sweep: what is due, that this process lives, what the budget holds


def measure(database, scratch, rounds, quick):
    figure = Figure("idle", "An idle serving process", "% of one core", database.name)
    seconds, finished = (20, 1000) if quick else (40, 20_000)
    with ExitStack() as stack:
        server = relay.loopback(scratch)
        stack.callback(server.stop)
        environment = databases.settings(database.new(), server, MAIL_DISPATCHER="threads")
        child = Child("benchmarks.peers.flasky", scratch, environment)
        stack.callback(child.stop)
        child.ask("fill", 120, sent=finished)  # without any row a database would not care for its indexes
        child.ask("note_queries")
        child.ask("serve")
        child.ask("rest", seconds=2)  # the start's own look
        answer = child.ask("rest", seconds + 30, seconds=seconds)
    cpu = 100 * answer["cpu_seconds"] / answer["seconds"]
    figure.check("CPU time per wall time", [cpu], 0.2, unit="%")
    figure.check("queries per sweep", [answer["queries"] / max(answer["sweeps"], 1)], QUERIES, unit="")
    scans = [sql for sql, plan in answer["plans"] if read_whole(plan, database.name)]
    figure.check("queries that read all messages or attempts", [len(scans)], 0, unit="")
    figure.notes.append(f"{answer['sweeps']} sweeps in {seconds} s; {finished:,} finished messages, none waiting")
    for sql, plan in answer["plans"]:
        figure.notes += [f"Query: {shortened(sql)}", f"  Plan: {plan}"]
    return figure


def shortened(sql):
    return f"{sql[:60]} … {sql[sql.find(' WHERE ') + 1 :]}" if " WHERE " in sql else sql
