import os
import re
import signal
import smtplib
import subprocess
import sys
from collections import Counter

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command

from flasky.drill.conductor import Conductor, Plan
from flasky.drill.crash_points import POINTS, die_at, kill_on_pass
from flasky.drill.relay import DELAYS, Fault, FaultyRelay, random_faults, running
from flasky.drill.report import Report
from flasky.mail import delivery
from flasky.mail.delivery import claims
from flasky.mail.models import OutboxMessage, State
from tests.celery_worker import broker_url
from tests.children import Child
from tests.conftest import use_relay, wait_until
from tests.databases import empty_database

SMALL = ("--workers", "2", "--threads", "2", "--messages", "20", "--seed", "3")


def run(folder, *arguments, sabotage="", **variables):
    """Run the drill as its user does; `sabotage` is Python that comes first."""
    script = f"import sys; {sabotage}\nimport django; django.setup()\n"
    script += "from django.core.management import execute_from_command_line as run; run(['manage.py', *sys.argv[1:]])"
    return subprocess.run(
        [sys.executable, "-c", script, "drill", *arguments],
        env={**os.environ, **environment(folder), **variables},
        capture_output=True,
        text=True,
        timeout=100,
    )


def environment(folder):
    return {
        "DJANGO_SETTINGS_MODULE": "flasky.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": "for this test only, and as long as a key that keeps people out",
        "DEBUG": "True",
        "DATABASE_URL": empty_database(folder),
        "TMPDIR": str(folder),
    }


def figures(output):
    """Return the first number of each row of the table."""
    return {name: float(number) for name, number in re.findall(r"^(\w[\w ,]+?) {2,}([\d.]+)", output, re.MULTILINE)}


@pytest.mark.parametrize(
    "way", [pytest.param("threads", marks=pytest.mark.main_road), "none", "inline", "celery-redis", "celery-rabbitmq"]
)
def test_the_drill_kills_and_nothing_is_lost(tmp_path, way):
    dispatcher, _, broker = way.partition("-")
    variables = {"CELERY_BROKER_URL": broker_url(broker)} if broker else {}
    finished = run(tmp_path, "--kills", "5", "--dispatcher", dispatcher, *SMALL, **variables)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    found = figures(finished.stdout)
    assert [found[f"Killed {label}"] for label in POINTS] == [1, 1, 1, 1, 1]
    assert found["Messages stored"] >= 20
    assert found["Lost"] == found["Duplicates without a mark"] == 0
    assert found["Time to recover"] > 0
    assert finished.stdout.endswith("The promise held: nothing was lost, and nothing was repeated in silence.\n")
    assert os.listdir(tmp_path) == [], "the drill leaves nothing behind and does not touch the real database"


TWO_DATABASES = """
from pathlib import Path

from flasky.settings import *

OPTIONS = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"}
REAL_MAILS = Path(__file__).parent / "real-mails"
DATABASES["mails"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": REAL_MAILS, "OPTIONS": OPTIONS}
DATABASE_ROUTERS = ["two_databases.Router"]


class Router:
    def db_for_write(self, model, **hints):
        return "mails" if model._meta.app_label == "flasky_mail" else None

    def db_for_read(self, model, **hints):
        return "default"
"""


def test_the_database_that_a_router_gives_the_outbox_is_not_touched_either(tmp_path):
    (tmp_path / "two_databases.py").write_text(TWO_DATABASES)
    path = os.pathsep.join([str(tmp_path), os.getcwd()])
    finished = run(tmp_path, "--kills", "1", *SMALL, DJANGO_SETTINGS_MODULE="two_databases", PYTHONPATH=path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert figures(finished.stdout)["Lost"] == 0
    assert not (tmp_path / "real-mails").exists()


def test_with_a_relay_that_always_hangs_up_every_message_is_held_after_few_copies(tmp_path):
    finished = run(tmp_path, "--hang-up", "--kills", "5", *SMALL)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    found = figures(finished.stdout)
    assert found["Kept on hold"] == found["Messages stored"] == found["Marked as possible duplicates"]
    assert found["Most copies of one message"] <= 5


def test_the_drill_says_what_was_lost(tmp_path):
    """The relay forgets what it has accepted first."""
    forget = (
        "from flasky.drill.relay import FaultyRelay\n"
        "remember, first = FaultyRelay.accept, []\n"
        "def forget_the_first(self, message_id):\n"
        "    first.append(message_id)\n"
        "    if message_id != first[0]: remember(self, message_id)\n"
        "FaultyRelay.accept = forget_the_first"
    )
    finished = run(tmp_path, "--kills", "1", *SMALL, sabotage=forget)
    assert finished.returncode == 1
    assert figures(finished.stdout)["Lost"] == 1
    assert re.search(r"Message \d+ \(<.+>\) is called sent, but the relay never accepted it\.", finished.stderr)


def test_the_drill_says_what_was_repeated_in_silence(tmp_path):
    """The workers conceal every doubt."""
    conceal = (
        "from flasky.drill import conductor\n"
        "conductor.POINTS = ['after 250, before the commit']\n"
        "conductor.VICTIM = '''\n"
        "import django; django.setup()\n"
        "from flasky.mail.models import OutboxMessage as M\n"
        "M.possible_duplicate = property(lambda self: False, lambda self, value: None)\n"
        "''' + conductor.VICTIM"
    )
    finished = run(tmp_path, "--kills", "1", *SMALL, sabotage=f"import django; django.setup()\n{conceal}")
    assert finished.returncode == 1
    assert figures(finished.stdout)["Duplicates without a mark"] >= 1
    assert re.search(r"Message \d+ \(<.+>\) was accepted \d times, and nothing says so\.", finished.stderr)


def test_a_worker_that_cannot_work_ends_the_drill(tmp_path):
    break_it = "import django; django.setup()\nfrom flasky.drill import conductor; conductor.VICTIM = 'exit(7)'"
    finished = run(tmp_path, "--kills", "1", *SMALL, sabotage=break_it)
    assert finished.returncode == 1
    assert "A worker ended by itself, with exit status 7." in finished.stderr
    assert "1 of 1 kills did not come about." in finished.stderr


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    command = [sys.executable, "manage.py", "drill", "--kills", "50"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with Child(command, env={**os.environ, **environment(tmp_path)}, **pipes) as drill:
        while " killed " not in drill.stdout.readline():
            assert drill.poll() is None
        drill.send_signal(signal.SIGINT)
        _, errors = drill.communicate(timeout=60)
    assert drill.returncode == 130
    # psycopg's pool says it, and nobody else says anything, if the signal met a query.
    said = [line for line in errors.splitlines() if not line.startswith("WARNING psycopg.pool: ")]
    assert said == ["CommandError: The drill was stopped, and its database is removed."]
    assert os.listdir(tmp_path) == []


def test_a_server_that_does_not_let_us_make_a_database(tmp_path):
    blocked = (
        "import tempfile, contextlib; tempfile.TemporaryDirectory = lambda **_: contextlib.nullcontext('/proc/nowhere')"
    )
    finished = run(tmp_path, sabotage=blocked, DATABASE_URL="sqlite:///" + str(tmp_path / "new.sqlite3"))
    assert finished.returncode == 1
    assert finished.stderr.startswith("CommandError: The drill needs a database of its own, but none could be made: ")
    assert finished.stderr.count("\n") == 1


def test_windows_has_no_sigkill(monkeypatch):
    monkeypatch.delattr(signal, "SIGKILL")
    with pytest.raises(CommandError, match="needs a POSIX system"):
        call_command("drill")


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_number_that_makes_no_sense_is_refused(value):
    with pytest.raises(CommandError, match="whole number from 1 upwards"):
        call_command("drill", f"--kills={value}")


def test_a_worker_that_died_with_something_in_its_pipe_keeps_nobody_from_dismissing_the_others():
    dead, alive = (
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        for code in ("import os; os.close(0)", "import sys; sys.stdin.read()")
    )
    dead.wait(timeout=60)
    dead.stdin.write(b"unread")
    conductor = Conductor(Plan(0, 0, 2, 1, 1), None, print)
    conductor.workers = {dead: "", alive: ""}
    conductor.dismiss_workers()
    assert alive.returncode == 0


class Died(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def deadly():
    """Put a death at a point, for this test only."""
    receivers = []

    def put(label):
        def die():
            raise Died

        receivers.append((POINTS[label], die_at(POINTS[label], die)))

    yield put
    for point, receiver in receivers:
        assert point.disconnect(receiver)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("label", "accepted"),
    [
        ("after the claim", 0),
        ("during the dialogue", 0),
        ("after the final dot", 1),
        ("after 250, before the commit", 1),
    ],
)
def test_each_point_is_where_its_name_says(settings, deadly, label, accepted):
    deadly(label)
    EmailMessage("Subject", "Text", to=["ann@example.com"]).send()
    with running(FaultyRelay(lambda point: None)) as relay:
        use_relay(settings, relay)
        with pytest.raises(Died):
            delivery.deliver_due()
        wait_until(lambda: len(relay.accepted) == accepted)
        assert sum(relay.accepted.values()) == accepted
    assert OutboxMessage.objects.get().state == State.SENDING


@pytest.mark.django_db(transaction=True)
def test_a_renewal_that_is_cut_off_prolongs_nothing(deadly):
    deadly("during renewal")
    EmailMessage("Subject", "Text", to=["ann@example.com"]).send()
    [message] = OutboxMessage.objects.claim(1)
    lease = OutboxMessage.objects.get().lease_expires_at
    with pytest.raises(Died):
        claims._renew({message.claim_token})
    assert OutboxMessage.objects.get().lease_expires_at == lease


def test_the_kill_comes_on_the_pass_that_was_chosen(monkeypatch):
    killed = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    die = kill_on_pass(2)
    die()
    assert killed == []
    die()
    die()
    assert killed == [(os.getpid(), signal.SIGKILL)]


def send_once(fault, at):
    """Send one mail to a relay with one fault; return the relay and what the sender was told."""
    faults = {at: fault}
    with running(FaultyRelay(lambda point: faults.pop(point, None))) as relay:
        told = dialogue(relay.port)
        wait_until(lambda: not faults)
    return relay, told


def dialogue(port):
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as smtp:
            if smtp.ehlo()[0] != 250:
                return "refused"
            smtp.sendmail("a@example.com", "b@example.com", "Message-ID: <1@x>\r\n\r\nText\r\n.dot\r\nMore\r\n")
            return "accepted"
    except smtplib.SMTPServerDisconnected:
        return "nothing"
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException):
        return "refused"


VERBS = ("EHLO", "MAIL", "RCPT", "DATA")


@pytest.mark.parametrize(
    ("fault", "at", "told", "accepted"),
    [
        *[(fault, verb, "refused", 0) for fault in (Fault.REFUSE, Fault.CLOSE) for verb in (*VERBS, "DOT")],
        *[(Fault.DROP, verb, "nothing", 0) for verb in (*VERBS, "CONTENT", "DOT")],
        *[(Fault.DELAY, verb, "accepted", 1) for verb in (*VERBS, "CONTENT", "DOT", "ACCEPTED")],
        (Fault.DROP, "ACCEPTED", "nothing", 1),
        (Fault.DROP, "REPLIED", "accepted", 1),
        (None, "QUIT", "accepted", 1),
    ],
)
def test_the_relay_counts_what_it_accepts_whatever_the_sender_is_told(monkeypatch, fault, at, told, accepted):
    monkeypatch.setattr("flasky.drill.relay.DELAYS", (0.05,))
    relay, heard = send_once(fault, at)
    assert heard == told
    assert relay.accepted == Counter({"<1@x>": accepted} if accepted else {})
    assert relay.unanswered == (told == "nothing" and accepted == 1)


def test_the_relay_answers_the_small_verbs():
    with running(FaultyRelay(lambda point: None)) as relay, smtplib.SMTP("127.0.0.1", relay.port, timeout=60) as smtp:
        assert smtp.noop()[0] == smtp.rset()[0] == 250
        assert smtp.docmd("TURN")[0] == 502


def test_the_faults_are_the_same_for_the_same_seed_and_not_too_many():
    verbs = [*VERBS, "CONTENT", "DOT", "ACCEPTED", "REPLIED"] * 1000
    first, second = ([meet(verb) for verb in verbs] for meet in (random_faults(1), random_faults(1)))
    assert first == second
    assert set(first) == {None, *Fault}
    assert 0.9 < first.count(None) / len(first) < 1
    assert max(DELAYS) > 2, "a lease must be renewed now and then"


def report(*, state=State.SENT, marked=False, accepted=1, unanswered=0, kills=("after the claim",), gone=False):
    message = OutboxMessage(pk=7, message_id="<7@x>", state=state, possible_duplicate=marked)
    messages, counted = [] if gone else [message], Counter({"<7@x>": accepted})
    return Report({7: "<7@x>"}, messages, counted, unanswered, 1, kills, [], 1.0)


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ({}, None),
        ({"state": State.HELD, "accepted": 0}, None),
        ({"accepted": 2, "marked": True}, None),
        ({"accepted": 0}, "Message 7 (<7@x>) is called sent, but the relay never accepted it."),
        ({"state": State.QUEUED}, "Message 7 (<7@x>) is queued in the end."),
        ({"state": State.FAILED, "accepted": 0}, "Message 7 (<7@x>) is failed in the end."),
        ({"gone": True}, "Message 7 (<7@x>) is gone from the outbox."),
        ({"accepted": 2}, "Message 7 (<7@x>) was accepted 2 times, and nothing says so."),
        (
            {"accepted": 4, "marked": True, "unanswered": 1},
            "3 duplicates: one for each thread of a killed worker and one for each of the 1 connections cut before "
            "the reply would be 2.",
        ),
    ],
)
def test_the_verdict(case, complaint):
    assert report(**case).complaints == ([complaint] if complaint else [])


def test_figures_that_nothing_is_known_of():
    assert "Time to recover                       nothing to recover" in str(report())
