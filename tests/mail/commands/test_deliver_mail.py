"""deliver_mail: deliver once, or as a worker; what it prints and its exit status."""

import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from flasky.mail.delivery import drain
from flasky.mail.models import OutboxMessage, RelayOutage, State
from flasky.mail.status.written import moment
from tests.conftest import wait_until
from tests.databases import new_database
from tests.shell import run_in_shell

REFUSED = "Not everything is delivered: 1 refused for good. The admin shows why; manage.py requeue_mail tries again."

pytestmark = pytest.mark.django_db(transaction=True)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def output(capsys):
    return lambda: capsys.readouterr().out


@pytest.fixture
def manage(relay, tmp_path):
    """Start manage.py in a process of its own, with a database of its own."""
    environment = {
        **os.environ,
        "DATABASE_URL": new_database(tmp_path),
        "MAIL_TRANSPORT": "smtp",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(relay.port),
        "MAIL_WORKERS": "1",
        "DJANGO_SETTINGS_MODULE": "flasky.settings",
    }

    def start(*arguments):
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(*arguments):
        process = start(*arguments)
        printed, errors = process.communicate(timeout=60)
        return process.returncode, printed, errors

    run.start = start
    script = "from django.core.mail import send_mail; send_mail('Hi', 'Hello', None, ['b@example.com'])"
    for _ in range(2):
        run_in_shell(script, environment)
    return run


def store(*recipients):
    email = EmailMessage("Hi", "Hello", "ann@example.com", list(recipients) or ["b@example.com"])
    email.send()
    return email.outbox_message


def started_in_a_thread():
    def run():
        try:
            call_command("deliver_mail")
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_is_due_is_delivered_and_counted(relay, output):
    store()
    store()
    call_command("deliver_mail")
    assert output() == "2 sent, 0 to be tried again, 0 failed; 0 waiting.\n"


def test_nothing_to_do_is_a_success(settings, output):
    settings.MAIL_TRANSPORT, settings.MAIL_PORT = "smtp", 1
    call_command("deliver_mail")
    assert output() == "0 sent, 0 to be tried again, 0 failed; 0 waiting.\n"


def test_as_many_are_on_the_wire_as_there_are_workers(relay, settings):
    settings.MAIL_WORKERS = 3
    for _ in range(5):
        store()
    relay.gate.clear()
    running = started_in_a_thread()
    relay.wait_until_in_data(3)
    relay.gate.set()
    running.join(60)
    assert len(relay.mails) == 5
    assert relay.most_in_data == 3


def test_what_a_dead_process_had_claimed_is_taken_up(relay, output):
    message = store()
    OutboxMessage.objects.claim(1)
    OutboxMessage.objects.update(lease_expires_at=message.created_at)
    call_command("deliver_mail")
    assert "1 sent" in output()


def test_what_another_process_has_on_the_wire_is_left_to_it(relay, output):
    store()
    OutboxMessage.objects.claim(1, "another")
    call_command("deliver_mail")
    assert output() == "0 sent, 0 to be tried again, 0 failed; 1 waiting.\n"


def test_a_refusal_for_good_is_an_error(relay, output):
    relay.replies = {"no@example.com": "550 5.1.1 No such user"}
    store("no@example.com")
    store()
    with pytest.raises(CommandError, match=f"^{re.escape(REFUSED)}$"):
        call_command("deliver_mail")
    assert output() == "1 sent, 0 to be tried again, 1 failed; 0 waiting.\n"
    call_command("deliver_mail")  # what failed earlier is nothing that this run could deliver


def test_a_refusal_for_now_is_an_error_that_names_the_next_attempt(relay, output):
    relay.replies = {"RCPT": "451 4.3.0 Not now"}
    message = store()
    with pytest.raises(CommandError) as raised:
        call_command("deliver_mail")
    message.refresh_from_db()
    when = moment(message.next_attempt_at)
    assert str(raised.value) == f"Not everything is delivered: 1 to be tried again, from {when} on."
    assert output() == "0 sent, 1 to be tried again, 0 failed; 1 waiting.\n"


def test_what_was_held_for_its_doubt_is_an_error(relay, output):
    relay.replies = {"DATA": "drop"}
    message = store()
    OutboxMessage.objects.filter(pk=message.pk).update(unknown_ends=4)
    with pytest.raises(CommandError, match="1 held until a person decides"):
        call_command("deliver_mail")
    assert "0 sent, 0 to be tried again, 0 failed, 1 held; 0 waiting." in output()


def test_what_is_meant_for_later_waits_and_is_no_error(relay, output):
    message = store()
    later = timezone.now() + timedelta(days=1)
    OutboxMessage.objects.filter(pk=message.pk).update(next_attempt_at=later, queued_at=later)
    call_command("deliver_mail")
    assert output() == "0 sent, 0 to be tried again, 0 failed; 1 waiting.\n"


def test_a_relay_that_is_away_is_an_error(settings, output):
    settings.MAIL_TRANSPORT, settings.MAIL_PORT = "smtp", 1
    store()
    with pytest.raises(CommandError, match=r"connection refused.* Nothing is lost: the mail waits in the outbox\.$"):
        call_command("deliver_mail")
    assert output() == "0 sent, 0 to be tried again, 0 failed; 1 waiting.\n"
    assert OutboxMessage.objects.get().attempt_count == 0


def test_what_was_sent_before_the_relay_went_away_is_counted(relay, settings, output):
    settings.MAIL_WORKERS = 1
    relay.replies = {"MAIL": [None, "421 4.3.2 Closing down", "421 4.3.2 Closing down"]}
    for recipient in ("first@example.com", "second@example.com", "third@example.com"):
        store(recipient)
    with pytest.raises(CommandError, match=r"421 4\.3\.2 Closing down"):
        call_command("deliver_mail")
    assert output() == "1 sent, 0 to be tried again, 0 failed; 2 waiting.\n"


def test_a_delivery_ends_the_relays_outage(relay, settings):
    server = f"{settings.MAIL_SERVER}:{settings.MAIL_PORT}"
    RelayOutage.objects.note(server, "It was away.", timezone.now())
    call_command("deliver_mail")
    assert RelayOutage.objects.exists()
    store()
    call_command("deliver_mail")
    assert not RelayOutage.objects.exists()


def test_a_terminal_has_a_progress_bar_and_no_line_for_each_mail(relay, monkeypatch, caplog):
    monkeypatch.setattr(drain, "LOOK_INTERVAL", 0.01)
    caplog.set_level(logging.INFO)
    terminal = Terminal()
    relay.gate.clear()
    store()
    store()
    opener = threading.Thread(target=lambda: (relay.wait_until_in_data(2), relay.gate.set()))
    opener.start()
    call_command("deliver_mail", stdout=terminal)
    opener.join()
    drawn, _, counts = terminal.getvalue().rpartition("\r")
    assert re.search(r"\[#*\.*\] \d of 2$", drawn)
    assert counts == "\x1b[K2 sent, 0 to be tried again, 0 failed; 0 waiting.\n"
    assert "sent:" not in caplog.text
    assert logging.getLogger("flasky").isEnabledFor(logging.INFO)


def test_many_at_once_deliver_each_mail_once(relay):
    messages = [store(f"person{number}@example.com") for number in range(20)]
    for run in [started_in_a_thread() for _ in range(3)]:
        run.join(60)
    assert sorted(mail.recipients[0] for mail in relay.mails) == sorted(message.recipients[0] for message in messages)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_mail_on_the_wire(manage, relay, number):
    relay.gate.clear()
    process = manage.start("deliver_mail")
    relay.wait_until_in_data(1)
    process.send_signal(number)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    relay.gate.set()
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert printed == "1 sent, 0 to be tried again, 0 failed; 1 waiting.\n"
    assert errors.endswith(f"CommandError: Stopped by {number.name}; what waits stays in the outbox.\n")


def test_the_exit_status_says_whether_mail_is_left(manage, relay):
    relay.replies = {"RCPT": ["550 5.1.1 No such user"]}
    status, printed, errors = manage("deliver_mail")
    assert (status, printed) == (1, "1 sent, 0 to be tried again, 1 failed; 0 waiting.\n")
    assert errors.endswith(f"\nCommandError: {REFUSED}\n")
    assert manage("deliver_mail")[0] == 0


def test_the_worker_delivers_until_it_is_told_to_stop(manage, relay):
    worker = manage.start("deliver_mail", "--loop")
    relay.wait_for(2)
    worker.send_signal(signal.SIGTERM)
    printed, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert printed == "Delivering. Ctrl-C stops after the mails that are on the wire.\n"


def test_nobody_waits_for_a_message_whose_time_has_not_come(relay, output):
    message = store()
    later = timezone.now() + timedelta(hours=1)
    OutboxMessage.objects.filter(pk=message.pk).update(next_attempt_at=later)
    with pytest.raises(CommandError, match="1 to be tried again, from "):
        call_command("deliver_mail")
    message.refresh_from_db()
    assert (message.state, relay.mails) == (State.QUEUED, [])


def test_it_can_be_called_by_a_program_that_handles_its_signals(relay):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    call_command("deliver_mail")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_waiting_is_over_when_the_thread_fails(relay, monkeypatch):
    def fail(stop):
        raise RuntimeError("broken")

    monkeypatch.setattr(drain, "deliver_due", fail)
    store()
    with pytest.raises(RuntimeError, match="broken"):
        call_command("deliver_mail")
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("mail_")])
