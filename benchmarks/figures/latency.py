"""How soon a mail is with the relay in a quiet system: from the commit to the relay's acceptance."""

from contextlib import ExitStack
from itertools import chain

from benchmarks import databases, relay
from benchmarks.child import Child
from benchmarks.figure import Figure, percentile


def measure(database, scratch, rounds, quick):
    figure = Figure("latency", "From the commit to the relay's acceptance, quiet system", "ms", database.name)
    count = 40 if quick else 60
    with ExitStack() as stack:
        server = relay.OwnServer(scratch)
        stack.callback(server.stop)
        environment = databases.settings(database.new(), server, MAIL_DISPATCHER="threads")
        child = Child("benchmarks.peers.flasky", scratch, environment)
        stack.callback(child.stop)
        child.ask("serve")
        child.ask("trickle", count=10)  # warm: templates, connections
        delays = [delays_of(child, server, count) for _ in range(rounds)]
    everything = list(chain.from_iterable(delays))
    for percent, limit in ((50, 15), (95, 40)):
        for those in delays:
            figure.add(f"p{percent}", percentile(those, percent))
        by_round, overall = figure.values[f"p{percent}"], percentile(everything, percent)
        figure.check(f"p{percent} of {len(everything)} mails", by_round, limit, value=overall, unit="ms")
    return figure


def delays_of(child, server, count):
    """Return the delay of each mail in ms; all processes of the machine share the monotonic clock."""
    committed_at = child.ask("trickle", 30 + count, count=count)["committed_at"]
    child.ask("rest", seconds=1)
    accepted_at = server.accepted_at()
    lost = [message_id for message_id in committed_at if message_id not in accepted_at]
    assert not lost, f"{len(lost)} mails were not accepted within 1 s"
    return [1000 * (accepted_at[message_id] - moment) for message_id, moment in committed_at.items()]
