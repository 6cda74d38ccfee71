"""Two processes on one database: claims, and a process that is paused or killed at the worst moment."""

import signal

import pytest

from flasky.mail.models import Attempt, OutboxMessage, State
from tests.actors import check_the_rescuers_end, expire, outcomes, start_python, store

pytestmark = pytest.mark.django_db(transaction=True)

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
        self.process = start_python(DELIVER, MAIL_TRANSPORT="smtp", MAIL_SERVER="127.0.0.1", MAIL_PORT=str(relay.port))

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
        OutboxMessage.objects.take_over_expired()
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
