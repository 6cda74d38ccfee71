"""What storing and delivering a mail costs in statements, round trips and writes: counts, which no load changes.

The bounds are a little above what was measured. Who needs less lowers them; who needs more says why. What it is now:
`pytest tests/benchmarks/test_costs.py -s` prints it.
"""

from contextlib import ExitStack, closing

import pytest

from benchmarks import databases, relay
from benchmarks.child import Child
from benchmarks.profile import servers
from tests.databases import SUITE, new_database

MAILS = 200
STATEMENTS, ROUND_TRIPS, RELAY = "statements", "round trips to the database", "round trips to the relay"
WAL, INDEX_WRITES, PAGES, COMMITS = "WAL bytes", "index writes", "pages written", "commits that wrote"
# For one mail, by the database's kind. One thread delivers; several share their commits and need fewer.
BOUNDS = {
    "sqlite": {
        "store": {STATEMENTS: 1.05, PAGES: 13},
        "drain": {STATEMENTS: 4.3, RELAY: 1.1, PAGES: 17.8},
    },
    "postgres": {
        "store": {STATEMENTS: 1.05, ROUND_TRIPS: 1.05, WAL: 5850, INDEX_WRITES: 11.2, COMMITS: 1.05},
        "drain": {STATEMENTS: 1.2, ROUND_TRIPS: 2.3, RELAY: 1.1, WAL: 3150, INDEX_WRITES: 18.4, COMMITS: 1.05},
    },
    "mysql": {
        "store": {STATEMENTS: 1.05},
        "drain": {STATEMENTS: 4.4, RELAY: 1.1},
    },
}
# It looks at the clock when to count anew.
NO_BUDGET = dict.fromkeys(databases.BUDGETS, "0")
CASES = [(work, what) for work, bounds in BOUNDS[SUITE.scheme].items() for what in bounds]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Return what one mail costs, by work and by what is counted."""
    folder = tmp_path_factory.mktemp("costs")
    server = relay.OwnServer(folder)
    environment = databases.settings(new_database(folder), server, MAIL_WORKERS="1", **NO_BUDGET)
    costs = {}
    try:
        for work in ("store", "drain"):
            total = counted(work, folder, environment, server)
            costs[work] = {name: count / MAILS for name, count in total.items()}
            print(f"\n{SUITE.scheme}, {work}, a mail:", {name: round(cost, 2) for name, cost in costs[work].items()})
    finally:
        server.stop()
    return costs


def counted(work, folder, environment, server):
    traces = folder / work
    traces.mkdir()
    with ExitStack() as stack:
        database = stack.enter_context(closing(servers.watch(environment["DATABASE_URL"])))
        child = Child("benchmarks.profile.subject", folder, environment)
        stack.callback(child.stop)
        child.ask("claim_as_if_quick")
        child.ask("store_fixed", count=1)  # what is done once in a process
        child.ask("drain")
        if work == "drain":
            child.ask("fill_fixed", waiting=MAILS)
        child.ask("settle")
        child.ask("watch", traces=str(traces))
        database.start()
        turns = server.turns()
        if work == "store":
            child.ask("store_fixed", count=MAILS)
        else:
            child.ask("drain")
        noted = child.ask("noted")
        found = dict(database.counts()[0])
    return found | {
        STATEMENTS: sum(times for _, _, times, _ in noted["statements"]),
        ROUND_TRIPS: noted["round_trips"],
        RELAY: server.turns() - turns,
    }


@pytest.mark.parametrize(("work", "what"), CASES)
def test_a_mail_costs_no_more_than_it_did(work, what, measured):
    if what not in measured[work]:
        pytest.skip("pg_walinspect (PostgreSQL 15 or newer; Debian: postgresql-contrib) is not there")
    assert 0 < measured[work][what] <= BOUNDS[SUITE.scheme][work][what]
