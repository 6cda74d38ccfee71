"""Two actors and one message, stopped at the moment that matters: both orders of each race.

An actor is a thread with its own database connection. It is stopped before a statement that it is about to send to the
database, or between the relay's answer and its recording; no test waits for a time to pass.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.mail import EmailMessage
from django.db import OperationalError, connection, connections
from django.db.models.functions import Now

from flasky.mail import transports
from flasky.mail.delivery import deliver_due
from flasky.mail.models import Attempt, OutboxMessage, State

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60  # s until a test that hangs fails


class Stop:
    """A place where an actor waits until the test lets it go on."""

    def __init__(self):
        self.reached = threading.Event()
        self._go = threading.Event()

    def __call__(self):
        self.reached.set()
        assert self._go.wait(PATIENCE), "nobody let the actor go on"

    def wait(self):
        assert self.reached.wait(PATIENCE), "the actor did not come here"

    def go_on(self):
        self._go.set()


class Actor:
    """Do something in a thread, and stop once: before the first SQL statement that matches `before`."""

    def __init__(self, action, before="", wait=True):
        self.stop = Stop()
        self._action, self._before = action, before
        self._future = Future()
        self._thread = threading.Thread(target=self._run, name="actor")
        self._thread.start()
        if before and wait:
            self.stop.wait()

    def result(self):
        """Let it go on to its end, and return what it got."""
        self.stop.go_on()
        return self._future.result(PATIENCE)

    def _run(self):
        try:
            with connection.execute_wrapper(self._look):
                result = self._action()
        except BaseException as error:
            connections.close_all()
            self._future.set_exception(error)
        else:
            connections.close_all()
            self._future.set_result(result)
        self.stop.reached.set()

    def _look(self, execute, sql, parameters, many, context):
        if self._before and re.search(self._before, sql) and not self.stop.reached.is_set():
            self.stop()
        return execute(sql, parameters, many, context)


# SQLite has one writer at a time, who is stopped before he becomes that: all others would wait for him.
WRITING = "^BEGIN|^UPDATE"
DELETING = "^BEGIN|FOR UPDATE"
NOTING = "^INSERT"  # into the history


@pytest.fixture
def stopped_after_the_reply(monkeypatch):
    """Stop the actor when the relay has answered and nothing is recorded yet; others pass."""
    original, stop = transports.SmtpTransport.deliver, Stop()

    def deliver(transport, message):
        replies = original(transport, message)
        if threading.current_thread().name == "actor":
            stop()
        return replies

    monkeypatch.setattr(transports.SmtpTransport, "deliver", deliver)
    yield stop
    stop.go_on()


@pytest.fixture
def stopped_before_the_relay(monkeypatch):
    """Stop the actor when it has claimed the message and said nothing of it yet; others pass."""
    original, stop = transports.SmtpTransport.deliver, Stop()

    def deliver(transport, message):
        if threading.current_thread().name == "actor":
            stop()
        return original(transport, message)

    monkeypatch.setattr(transports.SmtpTransport, "deliver", deliver)
    yield stop
    stop.go_on()


def store():
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    return email.outbox_message


def claim(holder="holder"):
    [claimed] = OutboxMessage.objects.claim(1, holder)
    return claimed


def expire():
    assert OutboxMessage.objects.filter(state=State.SENDING).update(lease_expires_at=Now() - timedelta(seconds=1))


def renew(message):
    return OutboxMessage.objects.renew({message.claim_token})


def outcomes(message):
    return list(message.attempts.values_list("outcome", flat=True))


# A holder who is paused, and a rescuer


def test_a_holder_who_pauses_after_the_250_finds_its_message_delivered_by_another(relay, stopped_after_the_reply):
    message = store()
    holder = Actor(deliver_due)
    stopped_after_the_reply.wait()
    expire()
    assert OutboxMessage.objects.release_expired() == 1
    assert deliver_due() == {State.SENT: 1}
    stopped_after_the_reply.go_on()
    assert holder.result() == {"lost": 1}
    check_the_rescuers_end(message, relay)


def test_a_holder_who_goes_on_while_the_rescuer_delivers_changes_nothing_either(relay, stopped_after_the_reply):
    message = store()
    holder = Actor(deliver_due)
    stopped_after_the_reply.wait()
    expire()
    OutboxMessage.objects.release_expired()
    rescuer = claim("rescuer")
    stopped_after_the_reply.go_on()
    assert holder.result() == {"lost": 1}
    message.refresh_from_db()
    assert (message.state, message.claimed_by, message.claim_token) == (State.SENDING, "rescuer", rescuer.claim_token)
    assert message.lease_expires_at == rescuer.lease_expires_at
    assert message.possible_duplicate
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.LATE]
    assert rescuer.finish(State.SENT, "250 Ok")


def test_a_holder_who_pauses_before_the_relay_repeats_the_message_but_not_in_silence(relay, stopped_before_the_relay):
    """Nobody can call it back; the doubt was noted when its lease was taken."""
    message = store()
    holder = Actor(deliver_due)
    stopped_before_the_relay.wait()
    expire()
    OutboxMessage.objects.release_expired()
    assert deliver_due() == {State.SENT: 1}
    stopped_before_the_relay.go_on()
    assert holder.result() == {"lost": 1}
    check_the_rescuers_end(message, relay)


def check_the_rescuers_end(message, relay):
    message.refresh_from_db()
    assert (message.state, message.possible_duplicate, message.claim_token) == (State.SENT, True, None)
    assert message.attempt_count == 2
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.ACCEPTED, Attempt.Outcome.LATE]
    first, second = relay.mails
    assert first.content == second.content
    assert first.message["Message-ID"] == message.message_id


# A rescuer who has read the expired row, and a holder who is alive


def test_a_rescuer_who_is_slower_than_the_renewal_changes_nothing():
    message = store()
    held = claim()
    expire()
    rescuer = Actor(OutboxMessage.objects.release_expired, before=WRITING)
    assert renew(held) == 1
    assert rescuer.result() == 0
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.possible_duplicate) == (State.SENDING, 0, False)
    assert held.finish(State.SENT, "250 Ok")
    assert outcomes(message) == []


def test_a_rescuer_who_is_slower_than_the_end_changes_nothing():
    message = store()
    held = claim()
    expire()
    rescuer = Actor(OutboxMessage.objects.release_expired, before=WRITING)
    assert held.finish(State.SENT, "250 Ok")
    assert rescuer.result() == 0
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.possible_duplicate) == (State.SENT, 1, False)
    assert outcomes(message) == []


def test_a_rescuer_who_is_slower_than_the_next_claim_leaves_that_alone():
    """The holder has given the message back, and somebody else has claimed it since."""
    message = store()
    held = claim()
    expire()
    rescuer = Actor(OutboxMessage.objects.release_expired, before=WRITING)
    held.release()
    other = claim("other")
    expire()
    assert rescuer.result() == 0
    message.refresh_from_db()
    assert (message.claim_token, message.possible_duplicate) == (other.claim_token, False)


@pytest.mark.parametrize(
    "late",
    [
        lambda held: held.finish(State.SENT, "250 Ok"),
        lambda held: held.finish(State.FAILED, "550 No"),
        lambda held: held.retry_at(held.next_attempt_at, "451 Later"),
        lambda held: held.release(),
        renew,
    ],
    ids=["sent", "failed", "retry", "release", "renew"],
)
@pytest.mark.parametrize("claimed_again", [True, False], ids=["claimed again", "queued"])
def test_a_holder_who_is_slower_than_the_rescuer_changes_nothing(late, claimed_again):
    message = store()
    held = claim()
    holder = Actor(lambda: late(held), before=WRITING)
    expire()
    assert OutboxMessage.objects.release_expired() == 1
    if claimed_again:
        claim("rescuer")
    before = OutboxMessage.objects.values().get()
    assert not holder.result()
    assert OutboxMessage.objects.values().get() == before
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN]


def test_a_holder_who_comes_while_the_rescuer_is_writing_waits_and_changes_nothing():
    message = store()
    held = claim()
    expire()
    rescuer = Actor(OutboxMessage.objects.release_expired, before=NOTING)  # the row is changed, not committed
    holder = Actor(lambda: held.finish(State.SENT, "250 Ok"))
    assert rescuer.result() == 1
    assert holder.result() is False
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.possible_duplicate) == (State.QUEUED, 1, True)


def test_a_rescuer_who_comes_while_the_holder_is_writing_waits_and_changes_nothing(stopped_after_the_reply, relay):
    message = store()
    holder = Actor(deliver_due, before=NOTING, wait=False)
    stopped_after_the_reply.wait()
    expire()
    rescuer = Actor(OutboxMessage.objects.release_expired, before=WRITING)  # it has seen that the lease has expired
    stopped_after_the_reply.go_on()
    holder.stop.wait()  # the row is changed, not committed
    rescuer.stop.go_on()
    assert holder.result() == {State.SENT: 1}
    assert rescuer.result() == 0
    message.refresh_from_db()
    assert (message.state, message.possible_duplicate) == (State.SENT, False)
    assert outcomes(message) == [Attempt.Outcome.ACCEPTED]


# Two who want the same


def test_two_rescuers_at_once_leave_one_line_in_the_history():
    message = store()
    claim()
    expire()
    rescuers = [Actor(OutboxMessage.objects.release_expired, before=WRITING) for _ in range(2)]
    assert sorted(rescuer.result() for rescuer in rescuers) == [0, 1]
    message.refresh_from_db()
    assert (message.state, message.attempt_count, message.lost_claims) == (State.QUEUED, 1, 1)
    assert outcomes(message) == [Attempt.Outcome.UNKNOWN]


@pytest.fixture(params=[True, False], ids=["skip locked", "no locks"])
def locks(request, monkeypatch):
    """Whether who claims locks the rows that he has picked: also try without, as some databases must."""
    features = type(connection.features)
    if request.param and not connection.features.has_select_for_update_skip_locked:
        pytest.skip("this database has no SKIP LOCKED")
    monkeypatch.setattr(features, "has_select_for_update_skip_locked", request.param)
    return request.param


def test_two_claimers_at_once_do_not_get_the_same_message(locks):
    message = store()
    first = Actor(lambda: OutboxMessage.objects.claim(1, "first"), before=WRITING)
    second = Actor(lambda: OutboxMessage.objects.claim(1, "second"))
    quick = second.result()  # nobody waits for anybody
    slow = first.result()
    assert [len(quick), len(slow)] == ([0, 1] if locks else [1, 0])
    [winner] = quick + slow
    message.refresh_from_db()
    assert (message.claim_token, message.claimed_by) == (winner.claim_token, winner.claimed_by)


def test_two_claimers_at_once_get_two_messages_where_rows_can_be_locked(locks):
    store(), store()
    first = Actor(lambda: OutboxMessage.objects.claim(1, "first"), before=WRITING)
    second = Actor(lambda: OutboxMessage.objects.claim(1, "second"))
    # MariaDB may look for the second row by its state, and then waits until the first claim is over.
    in_order = (first, second) if connection.vendor == "mysql" else (second, first)
    claimed = [message for claimer in in_order for message in claimer.result()]
    assert len({message.pk for message in claimed}) == len(claimed)
    if locks or connection.vendor == "sqlite":
        assert len(claimed) == 2


# A person and a worker


@pytest.mark.parametrize("verb", ["hold", "cancel"])
def test_a_person_who_is_slower_than_the_claim_changes_nothing(verb):
    message = store()
    person = Actor(getattr(OutboxMessage.objects.all(), verb), before=WRITING)
    claimed = claim()
    assert person.result() == 0
    message.refresh_from_db()
    assert (message.state, message.claim_token, message.finished_at) == (State.SENDING, claimed.claim_token, None)


@pytest.mark.parametrize(("verb", "state"), [("hold", State.HELD), ("cancel", State.CANCELLED)])
def test_a_worker_who_is_slower_than_the_person_gets_nothing(verb, state, locks):
    """Where he has locked the row he is not slower: the person waits, and comes too late."""
    message = store()
    worker = Actor(lambda: OutboxMessage.objects.claim(1), before=WRITING)
    person = Actor(getattr(OutboxMessage.objects.all(), verb))
    if not locks:
        assert person.result() == 1
    claimed = worker.result()
    assert (len(claimed), person.result()) == ((1, 0) if locks else (0, 1))
    message.refresh_from_db()
    assert message.state == (State.SENDING if locks else state)
    assert (message.claim_token is None) == (not locks)


def failed():
    message = store()
    claim().finish(State.FAILED, "550 No")
    return message


def test_a_requeue_that_is_slower_than_another_and_the_claim_after_it_changes_nothing():
    message = failed()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    assert OutboxMessage.objects.requeue() == 1
    claimed = claim()
    assert person.result() == 0
    message.refresh_from_db()
    assert (message.state, message.claim_token) == (State.SENDING, claimed.claim_token)


def test_a_worker_who_looks_before_the_requeue_is_written_finds_nothing():
    failed()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    assert OutboxMessage.objects.claim(1) == []
    assert person.result() == 1
    assert len(OutboxMessage.objects.claim(1)) == 1


def test_a_requeue_that_is_slower_than_a_whole_delivery_forgets_no_acceptance():
    """Held, requeued by another, accepted for one of two, held again: the state is the one that was read."""
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com", "c@example.com"])
    email.send()
    OutboxMessage.objects.hold()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    OutboxMessage.objects.requeue()
    claimed = claim()
    claimed.outcomes = {"b@example.com": {"accepted": True, "reply": "250 Ok"}}
    assert claimed.retry_at(claimed.next_attempt_at, "b@example.com: 250 Ok\nc@example.com: 451 Later")
    assert OutboxMessage.objects.hold() == 1
    person.result()
    assert OutboxMessage.objects.get().remaining_recipients == ["c@example.com"], "b gets it twice, in silence"


def test_a_requeue_that_is_slower_than_the_pruning_of_the_body_sends_no_empty_mail():
    message = failed()
    person = Actor(OutboxMessage.objects.requeue, before=WRITING)
    assert OutboxMessage.objects.prune_bodies() == 1
    assert person.result() == 0
    message.refresh_from_db()
    assert message.state == State.FAILED


def test_a_pruning_that_is_slower_than_the_requeue_removes_nothing():
    message = failed()
    bodies = Actor(OutboxMessage.objects.prune_bodies, before=WRITING)
    rows = Actor(OutboxMessage.objects.prune, before=DELETING)
    assert OutboxMessage.objects.requeue() == 1
    assert (bodies.result(), rows.result()) == (0, 0)
    message.refresh_from_db()
    assert message.state == State.QUEUED
    assert message.content


# A database that goes away while a reply is recorded


def test_a_reply_whose_recording_was_rolled_back_is_recorded_again_by_its_holder(relay):
    message, failures = store(), ["the server closed the connection"]

    def fail_once(execute, sql, *arguments):
        if sql.startswith("INSERT") and failures:
            raise OperationalError(failures.pop())
        return execute(sql, *arguments)

    with connection.execute_wrapper(fail_once):
        assert deliver_due() == {State.SENT: 1}
    message.refresh_from_db()
    assert not failures
    assert (message.state, message.attempt_count, message.claim_token) == (State.SENT, 1, None)
    assert outcomes(message) == [Attempt.Outcome.ACCEPTED]
    assert len(relay.mails) == 1


def test_a_reply_whose_recording_was_not_confirmed_is_not_called_too_late(relay, monkeypatch):
    """The database has committed, but the connection broke before it could say so."""
    message, commit, failures = store(), type(connections["default"]).commit, ["the server closed the connection"]

    def commit_and_break(wrapper):
        commit(wrapper)
        if relay.mails and failures:
            raise OperationalError(failures.pop())

    monkeypatch.setattr(type(connections["default"]), "commit", commit_and_break)
    assert deliver_due() == {State.SENT: 1}
    message.refresh_from_db()
    assert not failures
    assert (message.state, message.attempt_count, message.possible_duplicate) == (State.SENT, 1, False)
    assert outcomes(message) == [Attempt.Outcome.ACCEPTED]


# Two processes

DELIVER = """
import django, sys
django.setup()
from flasky.mail.delivery import deliver_due
print("ready", flush=True)
while sys.stdin.readline():
    print(dict(deliver_due()), flush=True)
"""


class Process:
    """A process that delivers what is due when it is told to."""

    def __init__(self, relay):
        database = connection.settings_dict["NAME"]
        url = urlsplit(os.environ["DATABASE_URL"])
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "flasky.settings",
            "DATABASE_URL": f"sqlite:///{database}" if url.scheme == "sqlite" else url._replace(path=database).geturl(),
            "MAIL_TRANSPORT": "smtp",
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(relay.port),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", DELIVER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    def __enter__(self):
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()

    def deliver(self):
        self.process.stdin.write("now\n")

    def send_signal(self, number):
        self.process.send_signal(number)

    def result(self):
        return eval(self.process.stdout.readline())


def test_two_processes_that_look_at_once_hand_one_message_over_once(relay):
    with Process(relay) as first, Process(relay) as second:
        for count in range(1, 21):
            message = store()
            first.deliver()
            second.deliver()
            assert sorted([first.result(), second.result()], key=len) == [{}, {"sent": 1}]
            assert len(relay.mails) == count
            assert outcomes(message) == [Attempt.Outcome.ACCEPTED]


def test_a_process_that_looks_while_another_has_the_message_on_the_wire_finds_nothing(relay):
    store()
    relay.gate.clear()
    with Process(relay) as first, Process(relay) as second:
        first.deliver()
        relay.wait_until_in_data(1)
        second.deliver()
        assert second.result() == {}
        relay.gate.set()
        assert first.result() == {"sent": 1}
    assert len(relay.mails) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be paused on this system")
@pytest.mark.parametrize("end", ["goes on", "is killed"])
def test_a_process_that_is_paused_after_the_250_and_then(end, relay):
    message = store()
    relay.gate.clear()
    with Process(relay) as paused, Process(relay) as rescuer:
        paused.deliver()
        relay.wait_until_in_data(1)
        paused.send_signal(signal.SIGSTOP)
        relay.gate.set()
        relay.wait_for(1)
        expire()
        OutboxMessage.objects.release_expired()
        rescuer.deliver()
        assert rescuer.result() == {"sent": 1}
        if end == "goes on":
            paused.send_signal(signal.SIGCONT)
            assert paused.result() == {"lost": 1}
            check_the_rescuers_end(message, relay)
    message.refresh_from_db()
    assert (message.state, message.possible_duplicate) == (State.SENT, True)
    assert outcomes(message)[:2] == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.ACCEPTED]
    assert [mail.message["Message-ID"] for mail in relay.mails] == [message.message_id] * 2
