"""What delivering asks again and again is answered by indexes, in their own order: nothing grows with what waits."""

import re

import pytest

from benchmarks import databases, relay
from benchmarks.child import Child
from benchmarks.plans import read_whole
from tests.databases import SUITE, new_database

WAITING, FINISHED = 5000, 2000  # so many that reading the table would be dearer
DATABASE = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MariaDB"}[SUITE.scheme]
# How each says that it sorts what it has read.
SORTS = {"SQLite": "TEMP B-TREE FOR ORDER", "PostgreSQL": "Sort  ", "MariaDB": "filesort"}[DATABASE]


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    server = relay.OwnServer(folder)
    child = Child("benchmarks.peers.flasky", folder, databases.settings(new_database(folder), server))
    try:
        child.ask("fill", 120, sent=FINISHED, waiting=WAITING)
        child.ask("note_queries")
        return dict(child.ask("deliver_some", 120, count=300)["plans"])
    finally:
        child.stop()
        server.stop()


def test_nothing_that_is_repeated_reads_a_whole_table(plans):
    assert plans
    whole = {sql: plan for sql, plan in plans.items() if read_whole(plan, DATABASE)}
    assert not {sql for sql in whole if not sql.endswith(" LIMIT 1")}, whole  # which ends with the first that is due


def test_nothing_that_is_repeated_sorts_what_waits(plans):
    of_some = re.compile(r'WHERE .*?["`]?id["`]? IN \(')  # of one claim, whose messages are sorted
    assert not {sql: plan for sql, plan in plans.items() if SORTS in plan and not of_some.search(sql)}
