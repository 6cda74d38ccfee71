"""What grows with the outbox, the backlog and the posts: the rate, the memory and the threads must not."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from benchmarks import databases, relay
from benchmarks.browser import Browser
from benchmarks.child import Child, Missing
from benchmarks.figure import Figure
from benchmarks.server import Server

SMALL, LARGE = "small outbox", "large outbox"
WARM_MAILS, COUNTED_MAILS = 100, 800  # of 1,000 in the small outbox


def measure(database, scratch, rounds, quick):
    return [
        rate(database, scratch, rounds, quick),
        memory(database, scratch, rounds, quick),
        posts(database, scratch, quick),
    ]


def rate(database, scratch, rounds, quick):
    """Count the same number of mails from a small and from a large outbox, by turns."""
    finished, waiting = (20_000, 5000) if quick else (1_000_000, 100_000)
    figure = Figure("growth", "Draining a small and a large outbox", "mails/s", database.name)
    with ExitStack() as stack:
        server = relay.loopback(scratch)
        stack.callback(server.stop)
        children = {}
        for label in (SMALL, LARGE):
            child = Child("benchmarks.peers.flasky", scratch, databases.settings(database.new(), server))
            stack.callback(child.stop)
            children[label] = child
        children[LARGE].ask("fill", 1200, sent=finished, waiting=waiting)
        for number in range(rounds + 1):
            for label, child in children.items():
                if label == SMALL:
                    child.ask("clear")
                    child.ask("fill", waiting=1000)
                mails_per_second = part_of_a_drain(child, server)
                if number:  # the first round is for warming up
                    figure.add(label, mails_per_second)
    figure.ratio(LARGE, SMALL, 0.9, at_least=True)
    figure.notes.append(
        f"Small: 1,000 waiting, none finished. Large: {waiting:,} waiting, {finished:,} finished. "
        f"{COUNTED_MAILS} mails counted per round"
    )
    return figure


def part_of_a_drain(child, server):
    """Return the rate of COUNTED_MAILS in the midst of a drain, as the relay sees it, and end the drain."""
    start = server.accepted() + WARM_MAILS
    child.tell("drain_until_stopped")
    begun = when_accepted(server, start)
    ended = when_accepted(server, start + COUNTED_MAILS)
    os.kill(child.process.pid, signal.SIGINT)
    child.answer(120)
    return (ended[1] - begun[1]) / (ended[0] - begun[0])


def when_accepted(server, count):
    """Wait until the relay has accepted so many mails; return the time and their number, which may be some more."""
    deadline = time.monotonic() + 300
    while (accepted := server.accepted()) < count:
        if time.monotonic() > deadline:
            raise Missing(f"the relay accepted {accepted} mails, not {count}, within 300 s")
        time.sleep(0.005)
    return time.perf_counter(), accepted


def memory(database, scratch, rounds, quick):
    """Compare the peaks of fresh processes, each of which does nothing but deliver one backlog."""
    figure = Figure("growth", "Peak memory of the delivering process", "MB", database.name)
    factor = 20 if quick else 100
    with ExitStack() as stack:
        server = relay.loopback(scratch)
        stack.callback(server.stop)
        backlogs = (("100 mails", 100, 0), (f"{100 * factor:,} mails", 100 * factor, 0))
        backlogs += (("8 mails of 5 MB", 8, 5_000_000), ("80 mails of 5 MB", 80, 5_000_000))
        for _ in range(1 if quick else min(rounds, 3)):
            for label, waiting, attachment in backlogs:
                figure.add(label, peak(database, scratch, server, waiting, attachment))
    figure.ratio(f"{100 * factor:,} mails", "100 mails", 1.2)
    figure.ratio("80 mails of 5 MB", "8 mails of 5 MB", 1.2)
    return figure


def peak(database, scratch, server, waiting, attachment):
    environment = databases.settings(database.new(), server)
    before = server.accepted()
    for orders in ([("fill", {"waiting": waiting, "attachment": attachment})], [("drain", {}), ("peak_memory", {})]):
        child = Child("benchmarks.peers.flasky", scratch, environment)
        try:
            for function, arguments in orders:
                answer = child.ask(function, 600, **arguments)
        finally:
            child.stop()
    if (accepted := server.accepted() - before) != waiting:
        raise Missing(f"the relay accepted {accepted} of {waiting} mails")
    return answer["megabytes"]


def posts(database, scratch, quick):
    """Post faster than a relay of 1 s per mail takes: the backlog grows, the processes must not."""
    figure = Figure("growth", "Posts against a relay that takes 1 s a mail", "", database.name)
    count, warm, clients = 300 if quick else 1500, 100, 4
    with ExitStack() as stack:
        server = relay.OwnServer(scratch, delay=1)
        stack.callback(server.stop)
        environment = databases.settings(
            database.new(), server, MAIL_DISPATCHER="threads", FLASKY_ADMIN="admin@example.com"
        )
        site = Server(scratch, environment)
        stack.callback(site.stop)
        with ThreadPoolExecutor(clients) as pool:
            browsers = [Browser(site.port) for _ in range(clients)]
            list(pool.map(lambda number: browsers[number % clients].post_new_name(), range(warm)))
            time.sleep(2)  # s: every thread is busy by now
            processes = site.workers()
            before = [(process.num_threads(), process.memory_info().rss) for process in processes]
            most = [threads for threads, _ in before]
            for _ in range(count // 100):
                list(pool.map(lambda number: browsers[number % clients].post_new_name(), range(100)))
                most = [max(old, process.num_threads()) for old, process in zip(most, processes, strict=True)]
        grown = [
            (process.memory_info().rss - rss) / 1024**2 for process, (_, rss) in zip(processes, before, strict=True)
        ]
    more = [most[i] - threads for i, (threads, _) in enumerate(before)]
    figure.check("threads that came after the warm-up", more, 0, value=max(more), unit="")
    figure.check("memory that each process grew by", grown, 30, value=max(grown), unit="MB")
    figure.notes.append(f"{count} posts; threads of each process after {warm}: {before[0][0]} and {before[1][0]}")
    return figure
