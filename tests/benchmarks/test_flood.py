"""benchmarks.flood: what it would complain of, and a small one that does no harm."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.flood.run import addresses
from benchmarks.flood.verdict import ROUNDS, Found, complaints, table
from tests.databases import empty_database

GOOD = Found(
    posted=100,
    answers=Counter({302: 5, 429: 95}),
    waits=Counter({"600": 90, "1": 5}),
    others=Counter({200: 7, 302: 3}),
    allowed=10,
    period=600,
    stored=8,
    told=0,
    budget=6,
    states=Counter(sent=6, held=2),
    lost=[],
    accepted=6,
    grown=100_000,
    lines=20,
    seconds=2,
    rounds=ROUNDS,
    busy=0.1,
    times={"the page": ([[1, 1, 2]] * ROUNDS, [[2, 2, 4]] * ROUNDS)},
)
SLOW = {"times": {"the page": ([[10, 10, 40]] * ROUNDS, [[20, 20, 100]] * ROUNDS)}}


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"budget": None},
        SLOW | {"rounds": ROUNDS - 1},
        SLOW | {"busy": 0.9},
        {"times": {"the page": ([[20]] * ROUNDS, [[40]] * (ROUNDS - 1) + [[900]])}},
        {"times": {"the page": ([[2]] * ROUNDS, [[49]] * ROUNDS)}},
    ],
)
def test_no_harm(case):
    assert complaints(replace(GOOD, **case)) == []
    assert "Posts a second" in table(GOOD)


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ({"posted": 101}, "101 posts got 100 answers."),
        (
            {"answers": Counter({302: 5, 429: 94, 500: 1})},
            "Robots got other answers than 302 and 429: {302: 5, 429: 94, 500: 1}.",
        ),
        ({"waits": Counter({"": 95})}, "A 429 without a Retry-After that can be right: ['']."),
        ({"waits": Counter({"601": 95})}, "A 429 without a Retry-After that can be right: ['601']."),
        ({"others": Counter({503: 1})}, "Others got other answers than 200 and 302: {503: 1}."),
        ({"allowed": 7}, "8 new names were stored; the limits allow 7."),
        ({"states": Counter(sent=6, held=1)}, "8 names have 7 mails."),
        ({"told": 4, "states": Counter(sent=6, held=6)}, "The administrators got 4 mails about what went wrong."),
        ({"states": Counter(sent=6, failed=2)}, "Mails were lost: {'sent': 6, 'failed': 2}."),
        ({"lost": ["<1@x>"]}, "1 mails are called sent, and the relay has not seen them."),
        ({"accepted": 5}, "The relay has 5 mails of 6 sent."),
        ({"budget": 5}, "6 mails have left; the budget is 5."),
        ({"grown": 9_000_000}, "The database has grown by 9000000 bytes; 4160000 are allowed."),
        ({"lines": 1000}, "The log has 1000 lines."),
        (SLOW, "Others wait 2.50 times as long for the page: 100.0 ms, 40.0 in the quiet (p95)."),
    ],
)
def test_each_harm_is_told(case, complaint):
    assert complaints(replace(GOOD, **case)) == [complaint]


def test_a_thousand_addresses_are_a_thousand_real_ones_of_loopback():
    found = [address for number in range(5) for address in addresses(1000, number, 5)]
    assert len({*found}) == 1000
    assert all(address.startswith("127.") for address in found)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a client choose any address of loopback")
def test_a_small_flood_does_no_harm(tmp_path):
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.flood", "--posts", "120", "--rounds", "1"],
        env={**os.environ, "DATABASE_URL": empty_database(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.endswith("The flood did no harm.\n")
    assert os.listdir(tmp_path) == []
