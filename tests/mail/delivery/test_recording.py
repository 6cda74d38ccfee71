"""flasky.mail.delivery.recording: several threads' results in one transaction, and a database that fails meanwhile."""

import os
import threading

import pytest
from django.db import DataError, OperationalError, connection, connections, transaction

from flasky.mail.db import write_lock
from flasky.mail.delivery import counting, engine, recording
from flasky.mail.delivery.outcomes import LOST
from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.transports import TransportUnavailable
from flasky.mail.transports.replies import Reply, Verdict
from tests.actors import (
    ACCEPTED,
    PATIENCE,
    POSTPONED,
    REFUSED,
    WRITING,
    Actor,
    Relay,
    Stop,
    claim,
    end,
    expire,
    outcomes,
    start_python,
    store,
)
from tests.conftest import wait_until
from tests.databases import ONLY_READS

pytestmark = pytest.mark.django_db(transaction=True)


def held_message():
    store()
    return claim()


def writing():
    """Stop somebody who is about to write a result: whoever comes meanwhile must wait."""
    held = held_message()
    return Actor(lambda: end(held), before=WRITING)


def gather(writer, *results, **options):
    """Let others come with their results while somebody is writing; then let that one go on to its end."""
    others = []
    for result in results:
        others.append(Actor(result, **options))
        wait_until(lambda: gathered() == len(others))
    assert writer.result() == State.SENT
    return others


def gathered():
    """Return how many results wait for the next transaction."""
    group = recording._gathering
    return len(group.results) if group else 0


def updates(actors):
    """Return how many rows each UPDATE named, whoever sent it."""
    return sorted(rows for actor in actors for rows in actor.updated)


@pytest.fixture
def unconfirmed(monkeypatch):
    """Break the connection of an actor called "cut off" when the database has committed, before it can say so; once."""
    failures = [OperationalError("the server closed the connection")]
    commit, write_at_once = type(connections["default"]).commit, recording.write_at_once

    def commit_and_break(wrapper):
        commit(wrapper)
        if threading.current_thread().name == "cut off" and failures:
            raise failures.pop()

    def write_and_break(*arguments):  # a statement that is a transaction by itself
        ended = write_at_once(*arguments)
        if not connection.in_atomic_block and threading.current_thread().name == "cut off" and failures:
            raise failures.pop()
        return ended

    monkeypatch.setattr(type(connections["default"]), "commit", commit_and_break)
    monkeypatch.setattr(recording, "write_at_once", write_and_break)
    return failures


# Several threads


def test_results_that_come_while_somebody_writes_are_written_together():
    sent, failed = held_message(), held_message()
    others = gather(writing(), lambda: end(sent), lambda: end(failed, REFUSED))
    assert [other.result() for other in others] == [State.SENT, State.FAILED]
    assert updates(others) == [2]
    assert outcomes(sent) == [Attempt.Outcome.ACCEPTED]
    assert outcomes(failed) == [Attempt.Outcome.REFUSED]


def test_a_transaction_waits_a_little_for_who_delivers_at_the_same_time(slow_database):
    sent, failed = held_message(), held_message()
    transport = Hesitating(REFUSED)
    other = Actor(lambda: list(engine.deliver([failed], transport)))
    transport.stop.wait()
    first = Actor(lambda: end(sent))
    wait_until(lambda: first.updated or gathered())
    transport.stop.go_on()
    assert (first.result(), other.result()) == (State.SENT, [State.FAILED])
    assert updates([first, other]) == [2]


def test_a_transaction_does_not_wait_for_who_has_ended_its_claim(slow_database):
    sent, untried = held_message(), held_message()
    transport = Hesitating(TransportUnavailable("421 not now"))
    other = Actor(lambda: list(engine.deliver([untried], transport)))
    transport.stop.wait()
    first = Actor(lambda: end(sent))
    wait_until(lambda: first.updated or gathered())
    with pytest.raises(TransportUnavailable):
        transport.stop.go_on()
        other.result()
    assert first.result() == State.SENT


@pytest.fixture
def slow_database(monkeypatch):
    """As if the last transaction had taken longer than any test."""
    monkeypatch.setattr(recording, "_seconds", 10 * PATIENCE)


class Hesitating(Relay):
    """Say nothing until the test lets it."""

    def __init__(self, reply):
        super().__init__(reply)
        self.reply, self.stop = reply, Stop()

    def deliver_each(self, messages):
        self.stop()
        if isinstance(self.reply, Exception):
            raise self.reply
        yield from super().deliver_each(messages)


def test_a_lost_claim_harms_no_other_that_is_written_with_it():
    late = held_message()
    expire()
    OutboxMessage.objects.take_over_expired()
    OutboxMessage.objects.hold()
    held = held_message()
    others = gather(writing(), lambda: end(late), lambda: end(held))
    assert [other.result() for other in others] == ["lost", State.SENT]
    assert max(updates(others)) == 2
    assert outcomes(late) == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.LATE]
    assert outcomes(held) == [Attempt.Outcome.ACCEPTED]


@pytest.mark.parametrize("order", [1, -1], ids=["first", "last"])
def test_the_result_of_a_message_that_is_gone_harms_no_other(order):
    """Of one that was erased on the way not even "too late" can be noted."""
    gone, held = held_message(), held_message()
    OutboxMessage.objects.get(pk=gone.pk).delete()
    lost, other = gather(writing(), *[lambda each=each: end(each) for each in (gone, held)][::order])[::order]
    assert lost.result() == LOST
    assert other.result() == State.SENT
    assert outcomes(held) == [Attempt.Outcome.ACCEPTED]


def test_after_a_failure_each_tries_for_itself():
    both = held_message(), held_message()
    failures = [OperationalError("the server closed the connection")]
    others = gather(writing(), *[lambda held=held: end(held) for held in both], failures=failures)
    assert [other.result() for other in others] == [State.SENT, State.SENT]
    assert updates(others) == [1, 1, 2]
    assert [outcomes(held) for held in both] == [[Attempt.Outcome.ACCEPTED]] * 2
    assert gathered() == 0


def test_inside_a_callers_transaction_only_the_own_result_is_written_and_nobody_is_waited_for():
    held, others = held_message(), held_message()
    writer = writing()
    other = Actor(lambda: end(others))
    wait_until(lambda: gathered() == 1)
    with transaction.atomic(), write_lock.one_writer():
        assert end(held) == State.SENT
        transaction.set_rollback(True)
    assert (writer.result(), other.result()) == (State.SENT, State.SENT)
    held.refresh_from_db()
    assert held.state == State.SENDING
    assert (outcomes(held), outcomes(others)) == ([], [Attempt.Outcome.ACCEPTED])


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite has one writer at a time")
def test_who_claims_is_one_of_those_who_write_one_after_the_other(relay):
    store()
    claimer = Actor(engine.deliver_due, before=WRITING)
    assert write_lock._writing.locked()
    assert claimer.result() == {State.SENT: 1}


FORK = """
import django, os
django.setup()
from flasky.mail.delivery import counting, recording
from tests.actors import claim, end
with recording.recorder(), recording.one_writer():
    child = os.fork()
    if not child:
        print(end(claim()), recording._recorders, flush=True)
        os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked on this system")
def test_a_child_records_although_its_parent_was_writing_when_it_was_born():
    message = store()
    process = start_python(FORK)
    said, _ = process.communicate(timeout=60)
    assert said == "sent 0\n"
    assert outcomes(message) == [Attempt.Outcome.ACCEPTED]


# A database that fails while a reply is recorded


def test_a_reply_whose_recording_was_rolled_back_is_recorded_again_by_its_holder():
    held = held_message()
    failures = [OperationalError("the server closed the connection")]
    assert Actor(lambda: end(held), failures=failures).result() == State.SENT
    held.refresh_from_db()
    assert not failures
    assert (held.state, held.attempt_count, held.claim_token) == (State.SENT, 1, None)
    assert outcomes(held) == [Attempt.Outcome.ACCEPTED]


@pytest.mark.parametrize(("reply", "state"), [(ACCEPTED, State.SENT), (POSTPONED, State.QUEUED)])
def test_a_reply_whose_recording_was_not_confirmed_is_not_called_too_late(reply, state, unconfirmed):
    held = held_message()
    assert Actor(lambda: end(held, reply), name="cut off").result() == state
    held.refresh_from_db()
    assert not unconfirmed
    assert (held.state, held.attempt_count, held.possible_duplicate) == (state, 1, False)
    assert Attempt.Outcome.LATE not in outcomes(held)
    assert len(outcomes(held)) == 1


def test_replies_that_were_recorded_together_without_confirmation_are_each_recognised(unconfirmed):
    both = held_message(), held_message()
    others = gather(writing(), *[lambda held=held: end(held) for held in both], name="cut off")
    assert [other.result() for other in others] == [State.SENT, State.SENT]
    assert not unconfirmed
    assert [outcomes(held) for held in both] == [[Attempt.Outcome.ACCEPTED]] * 2


def test_a_reply_that_was_called_too_late_without_confirmation_is_still_too_late(unconfirmed):
    """Its holder must not go on with a claim that is lost."""
    held = held_message()
    expire()
    OutboxMessage.objects.take_over_expired()
    assert Actor(lambda: end(held), name="cut off").result() == "lost"
    assert not unconfirmed
    assert outcomes(held) == [Attempt.Outcome.UNKNOWN, Attempt.Outcome.LATE]


def test_a_reply_is_kept_when_its_connection_leads_to_a_server_that_only_reads_since_a_fail_over():
    """The connection works, and would be kept or lent again for ever; a new one leads to the server that writes."""
    held = held_message()

    class FailingOver(Relay):
        def deliver_each(self, messages):
            for replies in super().deliver_each(messages):
                connection.cursor().execute(ONLY_READS[connection.vendor])
                yield replies

    assert Actor(lambda: list(engine.deliver([held], FailingOver(ACCEPTED)))).result() == [State.SENT]
    assert outcomes(held) == [Attempt.Outcome.ACCEPTED]


def test_a_reply_that_the_database_does_not_take_is_stored_in_plain_letters_and_its_mail_does_not_go_twice(caplog):
    held = held_message()
    reply = Reply(Verdict.ACCEPTED, "250 Übernommen " + "x" * 1000)
    failures = [DataError("Incorrect string value")] * 2  # with the others' and alone
    assert Actor(lambda: end(held, reply), failures=failures).result() == State.SENT
    held.refresh_from_db()
    assert held.last_reply.startswith("250 \\xdcbernommen xxx")
    assert len(held.last_reply) < 250
    assert held.outcomes["b@example.com"] == {"accepted": True, "reply": held.last_reply}
    assert outcomes(held) == [Attempt.Outcome.ACCEPTED]
    assert f"The reply to message {held.pk} cannot be stored as it is" in caplog.text


def test_what_the_database_refuses_is_told_in_djangos_words():
    """PostgreSQL may answer when Django does not listen: at the end of a pipeline."""
    if connection.vendor == "sqlite":
        pytest.skip("this database takes a number of any size")
    held = held_message()
    held.attempt_count = 2**40
    with pytest.raises(DataError):
        end(held)


# A holder who cannot record what its relay has said


@pytest.mark.parametrize("failure", [OperationalError, DataError])
def test_a_reply_that_cannot_be_recorded_leaves_its_message_in_doubt(failure, settings):
    settings.MAIL_STOP_TIMEOUT = 0
    first, second = store(), store()
    claimed = OutboxMessage.objects.claim(2)
    failures = [failure("not now")] * 9
    holder = Actor(lambda: list(engine.deliver(claimed, Relay(ACCEPTED), lambda: True)), failures=failures)
    with pytest.raises(failure):
        holder.result()
    check_doubt(first, second)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_a_holder_who_is_interrupted_while_it_waits_for_the_relay_leaves_its_message_in_doubt(interruption):
    first, second = store(), store()

    class Interrupted(Relay):
        def deliver_each(self, messages):
            raise interruption
            yield

    with pytest.raises(interruption):
        list(engine.deliver(OutboxMessage.objects.claim(2), Interrupted(ACCEPTED)))
    check_doubt(first, second)


def test_a_holder_who_ends_between_two_messages_leaves_nothing_in_doubt():
    _, untouched = store(), store()
    ends = engine.deliver(OutboxMessage.objects.claim(2), Relay(ACCEPTED))
    assert next(ends) == State.SENT
    ends.close()
    assert OutboxMessage.objects.due().get() == untouched
    assert not OutboxMessage.objects.filter(possible_duplicate=True).exists()


def check_doubt(first, second):
    """The first may have arrived, the second has not; both are tried again."""
    if OutboxMessage.objects.filter(state=State.SENDING).exists():
        expire()
        OutboxMessage.objects.take_over_expired()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.possible_duplicate) == (State.QUEUED, True), "it is repeated in silence"
    assert (second.state, second.possible_duplicate) == (State.QUEUED, False)


def test_processes_with_the_same_number_on_many_hosts_do_not_all_count_in_one_row(monkeypatch):
    """Containers have few numbers; whoever is cut off in a transaction holds up all who count in its row."""
    slots = set()
    for host in range(20):
        monkeypatch.setattr("socket.gethostname", lambda host=host: f"host{host}")
        slots.add(counting.slot())
    assert len(slots) > 5
