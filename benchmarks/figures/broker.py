"""What waking a Celery worker costs the visitor whose new name does so, whatever the broker does."""

from contextlib import ExitStack

from benchmarks import databases, posts, relay
from benchmarks.child import Child
from benchmarks.redis_server import Redis, RestartedRedis
from benchmarks.server import Server

NONE, THREADS, WELL = "dispatcher none", "dispatcher threads", "Celery, broker well"
FAILING = ("Celery, broker refuses", "Celery, broker silent", "Celery, broker restarts")
LIMIT = 1.25


def measure(database, scratch, rounds, quick):
    rounds, seconds = (rounds, 2) if quick else (rounds * 4, 2)  # short: others' load comes and goes
    with ExitStack() as stack:
        mail_server = relay.loopback(scratch)
        stack.callback(mail_server.stop)
        environments, restarted = subjects(database, scratch, mail_server, stack)
        samples = post(environments, scratch, rounds, seconds)
        lost = {label: missing(environments[label], scratch, mail_server) for label in (WELL, *FAILING)}
    p50, p95 = (posts.figure("broker", "POST of a new name", database, samples, percent) for percent in (50, 95))
    for figure, percent in ((p50, 50), (p95, 95)):
        posts.compare(figure, samples, percent, THREADS, NONE, None)
        posts.compare(figure, samples, percent, WELL, NONE, LIMIT)
        for label in FAILING:
            posts.compare(figure, samples, percent, label, NONE, LIMIT)
            posts.compare(figure, samples, percent, label, WELL, LIMIT)
    p95.check("mails that were not delivered afterwards", list(lost.values()), 0, value=sum(lost.values()), unit="")
    p95.notes.append(posts.note(samples))
    p95.notes.append(f"The broker was restarted {restarted.restarts} times; no worker listened to it meanwhile")
    return [p50, p95]


def subjects(database, scratch, mail_server, stack):
    """Return the environment of each server by label, and the broker that is restarted again and again."""

    def kept(thing):
        stack.callback(thing.stop)
        return thing

    well, restarted = kept(Redis(scratch)), kept(RestartedRedis(scratch))
    brokers = (well, kept(relay.Down()), kept(relay.Silent()), restarted)
    dispatchers = {NONE: {"MAIL_DISPATCHER": "none"}, THREADS: {"MAIL_DISPATCHER": "threads"}}
    for label, broker in zip((WELL, *FAILING), brokers, strict=True):
        url = f"redis://127.0.0.1:{broker.port}/0"
        dispatchers[label] = {"MAIL_DISPATCHER": "celery", "CELERY_BROKER_URL": url}
    environments = {
        label: databases.settings(database.new(), mail_server, FLASKY_ADMIN="admin@example.com", **dispatcher)
        for label, dispatcher in dispatchers.items()
    }
    return environments, restarted


def post(environments, scratch, rounds, seconds):
    with ExitStack() as stack:
        servers = {}
        for label, environment in environments.items():
            servers[label] = Server(scratch, environment)
            stack.callback(servers[label].stop)
        return posts.by_turns(servers, rounds, seconds)


def missing(environment, scratch, mail_server):
    """Deliver all that waits, as any worker's look does, and return how many new users the relay was not told of."""
    before = mail_server.accepted()
    child = Child("benchmarks.peers.flasky", scratch, environment)
    try:
        child.ask("drain", 300)
        return child.ask("users")["users"] - (mail_server.accepted() - before)
    finally:
        child.stop()
