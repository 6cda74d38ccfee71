"""Dockerfile, compose.yaml, Procfile and the systemd units: each command in them is run here, as it is written there.

No Docker is needed. The image is built by hand, instruction by instruction, in an empty folder; what it installs comes
from the tests' own environment.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import partial
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from django.db import connection

from flasky.mail.conf import conf
from tests.celery_worker import broker_url
from tests.conftest import missing, wait_until
from tests.databases import empty_database
from tests.own_servers import free_port
from tests.pins import pins
from tests.running_site import Site, Visitor

ROOT = Path(__file__).parent.parent
UNITS = sorted(ROOT.glob("deploy/systemd/*.service"))
INSTALLED = "/srv/flasky/"  # where the units expect the project


def read(name):
    return (ROOT / name).read_text("utf-8")


# --- What the files say -------------------------------------------------------------------------------------------


def instructions():
    """Return the Dockerfile's instructions as pairs of verb and arguments."""
    text = re.sub(r"^#.*\n", "", read("Dockerfile"), flags=re.MULTILINE).replace("\\\n", "")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line]


def instruction(verb):
    """Return the arguments of this instruction, which is there once."""
    (arguments,) = [arguments for found, arguments in instructions() if found == verb]
    return arguments


def exec_form(arguments):
    return json.loads(arguments[arguments.index("[") :])


def services():
    """Return the services of compose.yaml by name, each as its lines."""
    parts = re.split(r"^  ([a-z]+):\n", read("compose.yaml").partition("\nservices:\n")[2], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands():
    """Return each command that a deployment runs, and the file that has it."""
    yield "Dockerfile", shlex.join(exec_form(instruction("CMD")))
    for service in services().values():
        for command in re.findall(r"^    command: (\[.*\])$", service, re.MULTILINE):
            yield "compose.yaml", shlex.join(json.loads(command))
    for line in read("Procfile").splitlines():
        yield "Procfile", line.partition(": ")[2]
    for unit in UNITS:
        (command,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
        yield unit.name, command.removeprefix(f"{INSTALLED}.venv/bin/")


# --- They work ----------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path, smtp_server):
    """The site's settings and database, with nobody who serves or delivers."""
    return Site(tmp_path, smtp_server, MAIL_DISPATCHER="none")


@contextmanager
def started(words, environment, log, **options):
    """Run a server until SIGTERM, at which it must end by itself and in order."""
    with log.open("w") as output:
        process = subprocess.Popen(words, env=environment, stdout=output, stderr=output, **options)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    assert status == 0, log.read_text()


def answers(url):
    try:
        return requests.get(f"{url}/healthz", timeout=5).text == "ok\n"
    except requests.RequestException:  # not there, or not yet in a state to answer
        return False


def store_a_mail(site):
    site.shell("from django.core.mail import send_mail; send_mail('Hi', 'Hello', None, ['b@example.com'])")


def serves_at_the_port_that_the_platform_names(start, site, relay, tmp_path):
    port = free_port()
    with start(PORT=str(port)):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}"))


def delivers(start, site, relay, tmp_path):
    store_a_mail(site)
    with start():
        relay.wait_for(1)


def delivers_with_celery(start, site, relay, tmp_path):
    site.environment |= {"MAIL_DISPATCHER": "celery", "CELERY_BROKER_URL": broker_url("rabbitmq")}
    delivers(start, site, relay, tmp_path)


def keeps_its_schedule(start, site, relay, tmp_path):
    site.environment |= {"MAIL_DISPATCHER": "celery", "CELERY_BROKER_URL": broker_url("rabbitmq")}
    with start():
        wait_until(lambda: any(tmp_path.glob("celerybeat-schedule*")))  # .db, .dat …: Python chooses


def brings_the_database_up_to_date(start, site, relay, tmp_path):
    site.environment["DATABASE_URL"] = empty_database(tmp_path)
    start.run()
    assert site.count("User") == 0


DOES = {
    "gunicorn flasky.wsgi": serves_at_the_port_that_the_platform_names,
    "python manage.py deliver_mail --loop": delivers,
    "celery -A flasky worker": delivers_with_celery,
    "celery -A flasky beat --schedule=/tmp/celerybeat-schedule": keeps_its_schedule,
    "python manage.py migrate": brings_the_database_up_to_date,
}


@pytest.mark.parametrize("command", sorted({command for _, command in commands()}))
def test_each_command_does_what_it_is_there_for(command, site, smtp_server, tmp_path):
    program, *arguments = shlex.split(command.replace("/tmp/", f"{tmp_path}/"))
    words = [str(Path(sys.executable).with_name(program)), *arguments]

    def start(**variables):
        return started(words, {**site.environment, **variables}, tmp_path / "log", cwd=ROOT)

    start.run = lambda: subprocess.run(words, env=site.environment, cwd=ROOT, check=True, timeout=60)
    DOES[command](start, site, smtp_server, tmp_path)


def test_no_command_is_tested_that_no_file_has():
    assert set(DOES) == {command for _, command in commands()}


def test_every_place_has_a_web_server_and_a_worker():
    for place in ("compose.yaml", "Procfile"):
        here = [command for name, command in commands() if name == place]
        assert "gunicorn flasky.wsgi" in here
        assert "python manage.py deliver_mail --loop" in here


def test_whoever_stops_a_server_waits_longer_than_it_needs():
    grace = int(re.search(r"graceful_timeout = (\d+)", read("gunicorn.conf.py"))[1])
    mail = conf.MAIL_STOP_TIMEOUT
    web, worker = (int(re.search(r"TimeoutStopSec=(\d+)", unit.read_text())[1]) for unit in UNITS)
    assert web > grace > mail
    assert worker > mail
    in_compose = [int(seconds) for seconds in re.findall(r"stop_grace_period: (\d+)s", read("compose.yaml"))]
    assert in_compose[0] > mail
    assert in_compose[1] > grace


# --- systemd and Compose read them --------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_no_fault_in_the_unit(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze")
    here = tmp_path / unit.name.replace("@.", "@1.")
    program = str(Path(sys.executable).parent)
    here.write_text(unit.read_text().replace(f"{INSTALLED}.venv/bin", program).replace(INSTALLED[:-1], str(ROOT)))
    finished = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, timeout=60)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_may_do_little_more_than_it_needs(unit):
    """By systemd's own reckoning, in tenths: below 2.0 of 10. Most of what is left is that it talks to the network."""
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=19", unit]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def compose_config(folder, secrets):
    """Let Compose read the file, with these secrets and no other."""
    if not shutil.which("docker-compose"):
        missing("docker-compose")
    (folder / "compose.env").write_text("".join(f"{name}=abc\n" for name in secrets))
    command = ["docker-compose", "--file", ROOT / "compose.yaml", "--env-file", folder / "compose.env", "config"]
    return subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60)


def test_compose_reads_its_file_and_asks_for_each_secret(tmp_path):
    secrets = {"SECRET_KEY", "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}
    finished = compose_config(tmp_path, secrets)
    assert finished.returncode == 0, finished.stderr
    for name in secrets:
        without = compose_config(tmp_path, secrets - {name})
        assert without.returncode != 0
        assert f"into compose.env as {name}." in without.stderr


# --- The image ----------------------------------------------------------------------------------------------------


def gets_into_the_image(path):
    """Whether .dockerignore lets this file through: the last line that fits it, or a folder that it is in, decides."""
    rules = [line for line in read(".dockerignore").splitlines() if not line.startswith("#")]
    kept = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        for place in [path, *path.parents][:-1]:
            if fnmatch(place.name if pattern.startswith("**/") else str(place), pattern.removeprefix("**/")):
                kept = rule.startswith("!")
    return kept


def test_no_secret_and_no_history_gets_into_the_image():
    inside = [
        "manage.py",
        "gunicorn.conf.py",
        "requirements.txt",
        "requirements-postgresql.txt",
        "flasky/site/static/flasky/style.css",
        "flasky/mail/migrations/0001_initial.py",
        "templates/mail/base.html",
    ]
    outside = [
        ".env",
        "compose.env",
        "flasky.env",
        "db.sqlite3",
        "flasky/db.sqlite3-wal",
        ".git/config",
        ".venv/bin/python",
        "sent-mail/1.log",
        "tests/running_site.py",
        "flasky/__pycache__/wsgi.pyc",
    ]
    assert all(gets_into_the_image(Path(name)) for name in inside)
    assert not any(gets_into_the_image(Path(name)) for name in outside)


def test_the_image_is_not_roots():
    user, _, group = instruction("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert any(f"useradd --uid {user} --gid {group} " in arguments for _, arguments in instructions())


class Image:
    """What the Dockerfile makes: a folder with the source, an environment, and the user who runs in it."""

    def __init__(self, folder):
        self.folder = folder / "app"
        self.folder.mkdir()
        self.python = folder / "venv" / "bin" / "python"
        self.environment = {"PATH": f"{self.python.parent}:{os.environ['PATH']}"}
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True, timeout=60)
        self.log = folder / "log"
        for verb, arguments in instructions():
            BUILD[verb](self, arguments)

    def env(self, arguments):
        self.environment |= dict(pair.split("=", 1) for pair in shlex.split(arguments))

    def copy(self, arguments):
        *sources, _ = arguments.split()
        for path in ROOT.rglob("*"):
            name = path.relative_to(ROOT)
            if path.is_file() and gets_into_the_image(name) and ("." in sources or str(name) in sources):
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)

    def run(self, arguments):
        if arguments.startswith("groupadd"):
            return  # it would make a user of this machine
        if arguments.startswith("python -m pip install "):
            self.install(re.findall(r"--requirement (\S+)", arguments))
        else:
            words = ["sh", "-ec", arguments]
            subprocess.run(words, cwd=self.folder, env=self.environment, check=True, timeout=60)

    def install(self, files):
        """Take what these files pin, and nothing else, from the tests' environment."""
        for name in files:
            for pin in pins(self.folder / name):
                self.take(pin)
        subprocess.run([sys.executable, "-m", "pip", "--python", self.python, "check"], check=True, timeout=60)

    def take(self, pin):
        if pin.marker and not pin.marker.evaluate():
            return
        try:
            package = metadata.distribution(pin.name)
        except metadata.PackageNotFoundError:
            missing(f"{pin} in the tests' environment")
        assert package.version in pin.specifier, f"{package.version} is here, and pinned is {pin}"
        (packages,) = self.folder.parent.glob("venv/lib/*/site-packages")
        for name in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
            if not (packages / name).is_symlink():  # a pin for each Python, some with the same file
                (packages / name).symlink_to(package.locate_file(name))
        for file in package.files:
            if file.parent.name == "bin":
                program = self.python.with_name(file.name)
                program.write_text(re.sub("^#!.*", f"#!{self.python}", package.locate_file(file).read_text()))
                program.chmod(0o755)

    def user(self, arguments):
        user, group = arguments.split(":")
        self.environment["HOME"] = "/nowhere"
        # To read everything, since the interpreter may lie in root's home; to write nothing that is root's.
        may_read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        read_only = 'mount --options remount,bind,ro / && mount -t tmpfs -o mode=1777 tmpfs "$TMPDIR" && exec "$@"'
        self.environment["TMPDIR"] = tempfile.mkdtemp(dir=self.folder.parent)
        self.as_user = ["unshare", "--mount", "sh", "-ec", read_only, "sh"]
        self.as_user += ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *may_read]

    def call(self, words, **variables):
        """Run a command in the image; return its exit status."""
        environment = {**self.environment, **variables}
        return subprocess.call([*self.as_user, *words], cwd=self.folder, env=environment, timeout=60)

    def started(self, words, **variables):
        environment = {**self.environment, **variables}
        return started([*self.as_user, *words], environment, self.log, cwd=self.folder)


BUILD = {
    "ENV": Image.env,
    "COPY": Image.copy,
    "RUN": Image.run,
    "USER": Image.user,
} | dict.fromkeys(("FROM", "WORKDIR", "EXPOSE", "HEALTHCHECK", "CMD"), lambda image, arguments: None)


def test_the_image_serves_and_delivers_as_somebody_who_may_write_nothing(tmp_path, smtp_server):
    if os.geteuid() or subprocess.call(["unshare", "--mount", "true"]):
        missing("root, who can become another user and see a read-only root")
    if connection.vendor != "postgresql":
        pytest.skip("the image has the driver of PostgreSQL")
    image = Image(tmp_path)
    assert (image.folder / "staticfiles" / "flasky" / "style.css").exists()
    assert list(image.folder.glob("flasky/__pycache__/*.pyc"))
    assert image.call(["touch", "mine"]) != 0
    assert image.call(["touch", "/var/tmp/mine"]) != 0  # which everybody may, but that the root is read-only
    assert image.call(["sh", "-c", 'touch "$TMPDIR/mine"']) == 0
    image.environment |= {
        "FORM_MIN_SECONDS": "0",
        "SECRET_KEY": "for this test only, and as long as a key that keeps people out",
        "ALLOWED_HOSTS": "127.0.0.1",
        "HTTPS": "False",
        "DATABASE_URL": empty_database(tmp_path),
        "FLASKY_ADMIN": "admin@example.com",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(smtp_server.port),
        "PORT": str(free_port()),
    }
    is_healthy = partial(image.call, exec_form(instruction("HEALTHCHECK")))
    assert image.call(["python", "manage.py", "migrate", "--verbosity=0"]) == 0
    with image.started(exec_form(instruction("CMD"))):
        wait_until(lambda: is_healthy() == 0)
        visitor = Visitor(SimpleNamespace(url=f"http://127.0.0.1:{image.environment['PORT']}"))
        assert "Pleased to meet you" in visitor.submit("Ann").text
        smtp_server.wait_for(1)
    assert is_healthy() != 0
    assert "ERROR" not in image.log.read_text(), image.log.read_text()
