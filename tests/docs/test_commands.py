"""Every command of the shell in README.md and docs/*.md is run, in a copy of the project, as it is written there."""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import requests
from django.core.management import load_command_class

from benchmarks.simulate import __main__ as simulate
from tests import test_deployment
from tests.conftest import wait_until
from tests.docs.pages import ROOT, blocks
from tests.own_servers import free_port
from tests.pins import pins
from tests.running_site import Visitor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a POSIX shell")

# What tests/test_deployment.py runs: it must find each there.
IN_DEPLOYMENT = {"gunicorn flasky.wsgi", "celery -A flasky worker", "python manage.py deliver_mail --loop"}
# Takes 20 s: tests/benchmarks/test_simulate.py runs smaller ones, and here only the options are read.
SIMULATIONS = {
    "python -m benchmarks.simulate --seed 1",
    "python -m benchmarks.simulate --scenario outage,slow --rate 50 --processes 2 --threads 16 --draw ages.svg",
}
# What runs these tests, or needs a network: tests/test_supply.py looks at what comes of it.
AROUND = {
    "make test",
    "python3 dev.py test",
    "python -m mypy",
    "python -m pytest --cov",
    "make requirements",
    "make audit",
}
AROUND |= {"python -m ruff check", "python -m ruff format --check"}
# Sections of docs/deployment.md that become root, or need systemd or Docker: the page says how they were tried.
BY_HAND = {"systemd", "Containers"}
# Its commands are for the project of a reader, with a distribution that is built from this one.
OTHER_PROJECTS = "docs/adopt.md"
# What these are asked on a terminal, and find in the settings of a server.
ANSWERS = {"python manage.py createsuperuser": "--noinput"}
VARIABLES = {
    "python manage.py createsuperuser": {
        "DJANGO_SUPERUSER_USERNAME": "boss",
        "DJANGO_SUPERUSER_EMAIL": "boss@example.com",
        "DJANGO_SUPERUSER_PASSWORD": "for this test only",
    },
    "python manage.py collectstatic --noinput": {"DEBUG": "False", "SECRET_KEY": "x"},
}
UVICORN = "uvicorn flasky.asgi:application --no-proxy-headers"
SERVERS = {  # with what each listens at, as a port of our choice
    "make run": "make run PORT={}",
    "python3 dev.py run": "python3 dev.py run {}",
    "python3 dev.py run 8001": "python3 dev.py run {}",
    "python manage.py runserver": "python manage.py runserver {}",
    UVICORN: f"{UVICORN} --port {{}}",
}
RELAY = "python -m aiosmtpd -n -l 127.0.0.1:2525"
IN_WINDOWS = {
    "py dev.py run": "python3 dev.py run",
    "py dev.py run 8001": "python3 dev.py run 8001",
    "py dev.py test": "python3 dev.py test",
    "py -3 -m venv .venv": "python3 -m venv .venv",
    r".venv\Scripts\Activate.ps1": ". .venv/bin/activate",
    "Copy-Item .env.example .env": "cp .env.example .env",
}
OF_WINDOWS_ALONE = {"Set-ExecutionPolicy -Scope Process -Force RemoteSigned"}


def commands():
    """Return each command of the pages once."""
    examples = [block for block in blocks("sh") if block.section not in BY_HAND and block.page != OTHER_PROJECTS]
    return {" ".join(command.split()) for block in examples for command in block.commands}


def installs(command):
    return command.startswith("python -m pip install ")


SHOWN_WITH_OUTPUT = {block.text.partition("\n")[0].removeprefix("$ ") for block in blocks("console")}
TO_THEIR_END = commands() - IN_DEPLOYMENT - SIMULATIONS - AROUND - SERVERS.keys() - SHOWN_WITH_OUTPUT - {RELAY}


@pytest.mark.parametrize("command", sorted(command for command in TO_THEIR_END if not installs(command)))
def test_a_command_comes_to_a_good_end(command, project):
    finished = project.run(f"{command} {ANSWERS.get(command, '')}", **VARIABLES.get(command, {}))
    assert finished.returncode == 0, finished.stdout


@pytest.mark.parametrize("command", sorted(filter(installs, TO_THEIR_END)))
def test_what_is_installed_are_files_of_exact_versions(command):
    files = re.findall(r"-r (\S+)", command)
    assert command == f"python -m pip install {' '.join(f'-r {file}' for file in files)}"
    for file in files:
        assert pins(file)
        assert all("==" in str(pin.specifier) for pin in pins(file))


@pytest.mark.parametrize("command", SERVERS)
def test_a_server_greets_a_new_name_and_shows_its_mail(command, project, tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "log"
    name = f"Grace {port}"
    with running(SERVERS[command].format(port), project, log):
        wait_until(lambda: answers(url), timeout=60)
        visitor = Visitor(SimpleNamespace(url=url))
        assert "Pleased to meet you!" in visitor.submit(name).text
        assert "Happy to see you again!" in visitor.submit(name).text
        assert "[Flasky] New User" in visitor.get("/mailbox/").text
        wait_until(lambda: f"User {name} has joined." in log.read_text("utf-8"))  # the transport is the console


def test_the_server_that_prints_takes_the_test_mail(project, tmp_path):
    port = free_port()
    with running(RELAY.replace("2525", str(port)), project, tmp_path / "log"):
        wait_until(lambda: listens(port))
        finished = project.run(
            "python manage.py sendtestemail ann@example.com", MAIL_TRANSPORT="smtp", MAIL_PORT=str(port)
        )
        assert "accepted: 250 OK" in finished.stdout
    assert "X-Peer" in (tmp_path / "log").read_text("utf-8")


def test_what_the_deployment_runs_is_run_there():
    assert test_deployment.DOES.keys() >= IN_DEPLOYMENT


@pytest.mark.parametrize("command", sorted(SIMULATIONS))
def test_a_simulation_has_options_that_there_are(command):
    simulate.arguments(command.partition("benchmarks.simulate ")[2].split())


def test_no_command_is_tested_that_no_page_has():
    assert IN_DEPLOYMENT | SIMULATIONS | AROUND | SERVERS.keys() | VARIABLES.keys() | {RELAY} <= commands()


def test_windows_has_the_same_commands():
    windows = [command for block in blocks("powershell") for command in block.commands]
    assert {IN_WINDOWS.get(command, command) for command in windows} <= commands() | OF_WINDOWS_ALONE


# --- What is shown with its output --------------------------------------------------------------------------------

SAMPLES = [block for block in blocks("console") if not block.text.startswith("$ journalctl")]  # not our program


def shape(output):
    """Return the lines without what differs from run to run: figures, what a server says, the order of kills."""
    output = re.sub(r"(250|holding) .*$", r"\1", output, flags=re.MULTILINE)
    output = re.sub(r"\d+(\.\d+)?(, \d+)*", "0", output)
    return sorted(" ".join(line.split()) for line in output.splitlines() if line.strip())


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_sample_is_what_the_command_prints(sample, project, smtp_server):
    first, _, shown = sample.text.partition("\n")
    relay = {"MAIL_TRANSPORT": "smtp", "MAIL_SERVER": "localhost", "MAIL_PORT": str(smtp_server.port)}
    smtp_server.replies["nobody@example.com"] = ["550 There is nobody of this name"]
    if "deliver_mail" in first:
        store_three_mails(project)
    finished = project.run(first.removeprefix("$ "), **relay, LOG_FORMAT="line")
    said = [line for line in finished.stdout.splitlines() if not line.startswith(("INFO ", "WARNING ", "ERROR "))]
    assert shape("\n".join(said)) == shape(shown)


def store_three_mails(project):
    project.run("python manage.py deliver_mail")  # those of other tests, to the console
    script = "from django.core.mail import send_mail\n" + "".join(
        f"send_mail('Hi', 'Hello', None, ['{name}@example.com'])\n" for name in ("ann", "bob", "nobody")
    )
    assert project.run(f'python manage.py shell -c "{script}"').returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        "sendtestemail",
        "deliver_mail",
        "requeue_mail",
        "prune_mail",
        "export_mail",
        "erase_mail",
        "restored",
        "migration_locks",
        "drill",
    ],
)
def test_each_option_of_a_command_is_on_its_page_and_no_other(name):
    page = (ROOT / "docs/commands.md").read_text("utf-8")
    [section] = re.findall(rf"^## {name}\n((?s:.*?))(?=^## |\Z)", page, re.MULTILINE)
    command = load_command_class("flasky.drill" if name == "drill" else "flasky.mail", name)
    parser = argparse.ArgumentParser(add_help=False)
    command.add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"--[a-z-]+[a-z]", section)) == options


# --- Running ------------------------------------------------------------------------------------------------------


@contextmanager
def running(command, project, log):
    """Run a server until Ctrl-C, at which it must end by itself."""
    with log.open("w") as output:
        process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=project.folder,
            env=project.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C goes to all of a terminal's processes, and not to pytest
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    assert "Traceback" not in log.read_text("utf-8"), log.read_text("utf-8")


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    try:
        return requests.get(f"{url}/healthz", timeout=5).text == "ok\n"
    except requests.ConnectionError:
        return False
