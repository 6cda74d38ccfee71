"""What posts new names without end, in a process of its own: a child that gets its orders from the run."""

import itertools
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from benchmarks.flood.client import Client

_numbers = itertools.count(1)


def attack(port, addresses, posts, per_second, at_once):
    """Post `posts` new names from the addresses; return how often which answer came, and each Retry-After.

    At most `at_once` posts are under way and `per_second` begin: the machine's few cores are the site's, and who floods
    from elsewhere takes none of them.
    """
    answers, waits = Counter(), Counter()
    turn, lock, begun = itertools.count(), threading.Lock(), time.monotonic()

    def robot(number):
        """Be one connection; every second one keeps its cookie."""
        client, cookie = Client(port, addresses[number % len(addresses)]), ""
        for _ in range(posts // robots + (number < posts % robots)):
            time.sleep(max(0, begun + next(turn) / per_second - time.monotonic()))
            answer = client.post(f"Robot {os.getpid()} {next(_numbers)}", cookie)
            cookie = (answer.cookie or cookie) if number % 2 else ""
            with lock:
                answers[answer.status] += 1
                if answer.status == 429:
                    waits[answer.retry_after] += 1
        client.close()

    robots = min(posts, max(at_once, len(addresses)))
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(robot, range(robots)))
    return {"answers": answers, "waits": waits}
