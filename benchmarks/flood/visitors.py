"""Other visitors of the site, who measure how long they wait: a child that gets its orders from the run."""

import itertools
import os
import time
from collections import Counter
from ipaddress import IPv4Address

from benchmarks.flood.client import Client

KNOWN = "An old acquaintance"

_numbers = itertools.count(1)


def be_known(port):
    """Type the name that the site knows from then on."""
    return {"status": Client(port, "127.0.0.1").post(KNOWN).status}


def visit(port, seconds, per_second, with_new_names):
    """Come again and again, each time from another address; return the ms that each thing took, and the answers."""
    times = {"the page": [], "a known name": [], "a new name": []}
    answers, begun = Counter(), time.monotonic()
    for turn in range(int(seconds * per_second)):
        time.sleep(max(0, begun + turn / per_second - time.monotonic()))
        number = next(_numbers)
        client = Client(port, str(IPv4Address("127.64.0.0") + number))
        times["the page"].append(timed(client.get, answers))
        times["a known name"].append(timed(client.post, answers, KNOWN))
        if with_new_names:
            times["a new name"].append(timed(client.post, answers, f"Visitor {os.getpid()} {number}"))
        client.close()
    return {"times": times, "answers": answers}


def timed(ask, answers, *name):
    begun = time.perf_counter()
    answers[ask(*name).status] += 1
    return 1000 * (time.perf_counter() - begun)
