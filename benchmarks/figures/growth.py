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
PROCESSES = 4
WAITING = 5000  # in the small outbox
WARM_MAILS, COUNTED_MAILS = 500, 2000  # more than all processes together have claimed at the end stay


def measure(database, scratch, rounds, quick):
    yield rate(database, scratch, rounds, quick)
    yield memory(database, scratch, quick)
    yield posts(database, scratch, quick)


def rate(database, scratch, rounds, quick):
    """Count the same number of mails from a small and from a large outbox, by turns, of several processes together."""
    finished, waiting = (10_000, 20_000) if quick else (100_000, 1_000_000)
    figure = Figure("growth", "Draining a small and a large outbox, 4 processes", "mails/s", database.name)
    begin = Figure("growth", "From the order to the first mail, 4 processes", "ms", database.name)
    with ExitStack() as stack:
        server = relay.loopback(scratch)
        stack.callback(server.stop)
        outboxes = {SMALL: started(database, scratch, server, stack), LARGE: started(database, scratch, server, stack)}
        outboxes[LARGE][0].ask("fill", 1200, sent=finished, waiting=waiting)
        for number in range(rounds + 1):
            for label, children in outboxes.items():
                if label == SMALL:
                    children[0].ask("clear")
                    children[0].ask("fill", waiting=WAITING)
                seconds, mails_per_second = part_of_a_drain(children, server)
                if number:  # the first round is for warming up
                    figure.add(label, mails_per_second)
                    begin.add(label, 1000 * seconds)
    figure.ratio(LARGE, SMALL, 0.9, at_least=True)
    begin.ratio(LARGE, SMALL)
    figure.notes.append(
        f"Small: {WAITING:,} waiting, none finished. Large: {waiting:,} waiting, {finished:,} finished. "
        f"{COUNTED_MAILS:,} mails counted a round"
    )
    return [figure, begin]


def started(database, scratch, server, stack):
    """Return several processes for one outbox."""
    environment = databases.settings(database.new(), server)
    children = [Child("benchmarks.peers.flasky", scratch, environment) for _ in range(PROCESSES)]
    for child in children:
        stack.callback(child.stop)
    return children


def part_of_a_drain(children, server):
    """Return when the first mail came, and the rate of COUNTED_MAILS in the midst of a drain; end the drain."""
    before, ordered = server.accepted(), time.perf_counter()
    for child in children:
        child.tell("drain_until_stopped")
    first = server.when_accepted(before + 1)
    begun = server.when_accepted(before + WARM_MAILS)
    ended = server.when_accepted(before + WARM_MAILS + COUNTED_MAILS)
    for child in children:
        os.kill(child.process.pid, signal.SIGINT)
    for child in children:
        child.answer(120)
    return first[0] - ordered, (ended[1] - begun[1]) / (ended[0] - begun[0])


def memory(database, scratch, quick):
    """Compare the peaks of fresh processes, each of which does nothing but deliver one backlog."""
    figure = Figure("growth", "Peak memory of the delivering process", "MB", database.name)
    factor = 20 if quick else 100
    with ExitStack() as stack:
        server = relay.loopback(scratch)
        stack.callback(server.stop)
        backlogs = (("100 mails", 100, 0), (f"{100 * factor:,} mails", 100 * factor, 0))
        backlogs += (("8 mails of 5 MB", 8, 5_000_000), ("80 mails of 5 MB", 80, 5_000_000))
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
    count, clients = 300 if quick else 1000, 4
    warm = 2 * 2 * 16  # posts at once, so that both processes have all threads that gunicorn gives them
    with ExitStack() as stack:
        server = relay.OwnServer(scratch, delay=1)
        stack.callback(server.stop)
        environment = databases.settings(
            database.new(), server, MAIL_DISPATCHER="threads", FLASKY_ADMIN="admin@example.com"
        )
        site = Server(scratch, environment)
        stack.callback(site.stop)
        with ThreadPoolExecutor(warm) as pool:
            list(pool.map(lambda browser: browser.post_new_name(), [Browser(site.port) for _ in range(warm)] * 4))
        with ThreadPoolExecutor(clients) as pool:
            browsers = [Browser(site.port) for _ in range(clients)]
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
    figure.notes.append(f"{count} posts; threads of each process before: {before[0][0]} and {before[1][0]}")
    return figure
