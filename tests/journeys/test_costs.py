"""What a mail costs, counted: database statements, round trips to the relay, connections. Nothing here is a time."""

import smtplib
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.conf import settings as project
from django.core.mail import EmailMessage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flasky.mail.delivery import deliver_due, engine
from flasky.mail.delivery.at_once import can_write_at_once
from flasky.mail.models import OutboxMessage, State
from flasky.mail.runtime import clock
from flasky.mail.transports import SmtpTransport
from tests.conftest import use_relay
from tests.smtp_server import SmtpServer

MOST_CALLS = 195  # of our own functions for a delivered mail; a higher number wants a reason that is worth it

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["one by one", "in groups"])
def relay(request, settings, monkeypatch):
    settings.MAIL_WORKERS = 1  # all claims are this thread's
    monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: 0.0))  # the relay is quick at any load
    with SmtpServer(pipelining=request.param) as relay:
        relay.takes_groups = request.param
        use_relay(settings, relay)
        yield relay


@pytest.fixture
def turns(monkeypatch):
    """Count the round trips: how often we stop talking and wait for the relay."""
    said = []
    send, getreply = SmtpTransport._send, smtplib.SMTP.getreply

    def talk(transport, data, *arguments, **options):
        said.append("talk")
        return send(transport, data, *arguments, **options)

    def listen(smtp):
        said.append("listen")
        return getreply(smtp)

    monkeypatch.setattr(SmtpTransport, "_send", talk)
    monkeypatch.setattr(smtplib.SMTP, "getreply", listen)
    return lambda: sum(pair == ("talk", "listen") for pair in pairwise(said))


def store(count, recipients=1):
    for _ in range(count):
        EmailMessage(
            "Hi", "Hello", "ann@example.com", [f"b{number}@example.com" for number in range(recipients)]
        ).send()


def statements(queries):
    verbs = Counter(query["sql"].split("times: ")[-1].split()[0] for query in queries)
    del verbs["SET"]  # MariaDB switches autocommit off and on
    return verbs


@contextmanager
def calls():
    """Count this thread's calls of our own functions; how many of Django's come about, its release decides."""
    counts, ours = Counter(), str(project.BASE_DIR / "flasky" / "mail")

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(ours):
            counts[frame.f_code.co_filename, frame.f_code.co_name] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield counts
    finally:
        sys.setprofile(before)


def test_a_stored_mail_costs_one_insert():
    clock.renew()  # asks the database once a minute
    with CaptureQueriesContext(connection) as queries:
        store(1)
    assert statements(queries) == {"INSERT": 1}


def test_a_delivered_mail_costs_one_transaction_with_three_writes_and_a_claim_is_shared(relay):
    store(26)
    can_write_at_once(connection)  # asks once in a process
    with CaptureQueriesContext(connection) as queries:
        deliver_due()
    claims = 2  # one message to learn how quick the relay is, and the rest
    looks = 1 + claims + 1  # is there anything at all? before each claim: how much is left?
    choices = 2 * claims if connection.vendor == "mysql" else claims  # the others return what the UPDATE has changed
    at_once = {"BEGIN": claims, "UPDATE": claims, "COMMIT": claims}
    one_by_one = {
        "BEGIN": claims + 26,
        "UPDATE": claims + 26,
        "INSERT": 26 + 26,  # the attempt, and one more in the hour's count
        "COMMIT": claims + 26,
    }
    writes = one_by_one
    if connection.vendor == "postgresql":
        writes, looks = at_once, looks + 26  # the call of a function that writes looks like one more
    assert statements(queries) == {"SELECT": looks + choices, **writes}


def test_a_mail_costs_one_round_trip_in_groups_and_four_one_by_one(relay, turns):
    store(21)
    deliver_due()
    claims = 2  # the first envelope of a claim has no message to travel with
    assert turns() == (claims + 21 if relay.takes_groups else 4 * 21)
    assert not OutboxMessage.objects.exclude(state=State.SENT).exists()


def test_ten_recipients_cost_no_more_round_trips_in_groups(relay, turns):
    store(5, recipients=10)
    deliver_due()
    claims = 2
    assert turns() == (claims + 5 if relay.takes_groups else 13 * 5)
    assert [len(mail.recipients) for mail in relay.mails] == [10] * 5


def test_a_hundred_mails_cost_one_connection(relay):
    store(100)
    deliver_due()
    assert (len(relay.mails), relay.sessions) == (100, 1)


def test_a_mail_costs_few_calls_of_our_functions_though_its_recipient_is_named_in_the_acceptance(relay):
    count = 102  # one to learn how quick the relay is, two full claims, and one
    for number in range(count):
        address = f"b{number}@example.com"
        relay.replies[address] = f"250 2.1.5 <{address}> recipient ok"
        EmailMessage("Hi", "Hello", "ann@example.com", [address]).send()
    with calls() as counts:
        deliver_due()
    assert len(relay.mails) == count
    assert sum(counts.values()) < MOST_CALLS * count, counts.most_common(20)
