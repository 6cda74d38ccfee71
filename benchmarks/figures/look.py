"""How soon a page answers when a million messages are stored: the list, its tabs, searches, filters and charts."""

import http.client
import re
import time
from contextlib import ExitStack

from benchmarks import databases
from benchmarks.child import Child
from benchmarks.figure import Figure, percentile
from benchmarks.server import Server

LIMIT = 300  # ms
SLOW = 20  # ms, of a query whose plan is noted
TIMES = 3  # requests of each page in a round

LIST = "/admin/flasky_mail/outboxmessage/"
TABS = ("queued", "later", "sending", "sent", "failed", "held", "cancelled", "duplicates")
PAGES = {
    "the list": LIST,
    **{f"tab {tab}": f"{LIST}?tab={tab}" for tab in TABS},
    "page 200": f"{LIST}?p=200",
    "address with half of all mail": f"{LIST}?q=admin@example.com",
    "the same, last page": f"{LIST}?q=admin@example.com&p=200",
    "address of a second recipient": f"{LIST}?q=deputy@example.com",
    "the same, half a month ago": f"{LIST}?q=deputy@example.com&before={{found}}",
    "address with few mails": f"{LIST}?q={{address}}",
    "Message-ID": f"{LIST}?q={{message_id}}",
    "word of many subjects": f"{LIST}?q=welcome",
    "word of one old subject": f"{LIST}?q=zanzibar",
    "the same, one window back": f"{LIST}?q=zanzibar&before={{window}}",
    "the same, where it is": f"{LIST}?q=zanzibar&before={{found}}",
    "kind": f"{LIST}?kind=mail/welcome",
    "rare kind": f"{LIST}?kind=mail/reminder",
    "source": f"{LIST}?source=admin",
    "sent, Message-ID": f"{LIST}?tab=sent&q={{message_id}}",
    "cause of 20,000": f"{LIST}?cause=accounts.user:1",
    "sent, cause of one": f"{LIST}?tab=sent&cause={{cause}}",
    "last 24 hours": f"{LIST}?time=24h",
    "last 7 days": f"{LIST}?time=7d",
    "last 30 days": f"{LIST}?time=30d",
    "month": f"{LIST}?time={{month}}",
    "day": f"{LIST}?time={{day}}",
    "hour": f"{LIST}?time={{hour}}",
    "sent, word, 7 days": f"{LIST}?tab=sent&q=welcome&time=7d",
    "sent, kind, hour": f"{LIST}?tab=sent&kind=mail/welcome&time={{hour}}",
    "failed, word": f"{LIST}?tab=failed&q=welcome",
    "failed, address": f"{LIST}?tab=failed&q=admin@example.com",
    "address, kind, 24 hours": f"{LIST}?q=admin@example.com&kind=mail/welcome&time=24h",
    "cause, sent, kind": f"{LIST}?cause=accounts.user:1&tab=sent&kind=mail/welcome",
    "charts": f"{LIST}charts/",
    "admin's first page": "/admin/",
    "message": f"{LIST}{{pk}}/change/",
    "development mailbox": "/mailbox/",
}


def measure(database, scratch, rounds, quick):
    count = 20_000 if quick else 1_000_000
    pages = Figure("look", f"A look at {count:,} messages", "ms", database.name)
    first = Figure("look", "The first look of a new process", "ms", database.name)
    samples = {label: [] for label in PAGES}
    with ExitStack() as stack:
        environment = databases.settings(database.new())
        archive = Child("benchmarks.peers.archive", scratch, environment)
        stack.callback(archive.stop)
        filled = archive.ask("fill", 3600, count=count)
        example = archive.ask("example")
        urls = {label: url.format(**example) for label, url in PAGES.items()}
        servers = [Server(scratch, environment | {"DEBUG": debug}) for debug in ("False", "True")]
        for server in servers:
            stack.callback(server.stop)
        ports = {label: servers[url.startswith("/mailbox/")].port for label, url in PAGES.items()}
        for number in range(rounds + 1):
            for label, url in urls.items():
                times = [milliseconds(ports[label], url, example["cookie"]) for _ in range(TIMES)]
                if number:  # the first round is for warming up
                    pages.add(label, percentile(times, 50))
                    samples[label] += times
                else:
                    first.add(label, times[0])
        pages.notes += slow_queries(archive, urls)
    for label, times in samples.items():
        pages.check(f"{label}, p95", times, LIMIT, value=percentile(times, 95), unit="ms")
    pages.notes.append(f"{rounds * TIMES} requests each; filled in {filled['seconds']:.0f} s")
    return [pages, first]


def milliseconds(port, url, cookie):
    """Return the time from connecting to the end of the page."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", url, headers={"Cookie": f"sessionid={cookie}"})
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    assert response.status == 200, f"{url} was answered with {response.status}"
    return 1000 * (time.perf_counter() - started)


def slow_queries(archive, urls):
    """Return a line for each query that takes long, and how the database finds its rows."""
    lines = {}
    for label, url in urls.items():
        for took, sql, plan in archive.ask("slow_queries", 120, url=url, milliseconds=SLOW)["slow"]:
            query = shortened(sql)
            lines.setdefault(query, [f"Query of {took:.0f} ms ({label}): {query}", *(f"  {line}" for line in plan)])
    return [line for those in lines.values() for line in those]


def shortened(sql):
    sql = re.sub(r'"?flasky_mail_outboxmessage"?\.', "", sql)
    sql = re.sub(r"(\w+, |\"\w+\", ){3,}", "… ", sql)
    return re.sub(r"(%s, ){3,}", "…, ", sql)
