"""A project as `django-admin startproject` makes it, in an environment with Django and the distribution alone."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from glob import glob
from pathlib import Path

from tests.children import Child
from tests.conftest import missing
from tests.docs.pages import ROOT, blocks
from tests.pins import pins

VERSIONS = {"5.2": "requirements.txt", "6.1": "requirements-django6.1.txt"}  # where the exact version is
OF_THE_PAGE = [
    block.text for block in blocks("python") if (block.page, block.section) == ("docs/adopt.md", "Two lines")
]
TWO_LINES = [text for text in OF_THE_PAGE if "INSTALLED_APPS" in text]  # then there are options for SQLite
ADDED = dict(zip(VERSIONS, TWO_LINES, strict=True))
# What any project tells Django of its mail server and its people.
RELAY = {
    "5.2": 'EMAIL_HOST, EMAIL_PORT = "127.0.0.1", {port}\nADMINS = [("Ann", "ann@example.com")]\n',
    "6.1": 'MAILERS["transport"]["OPTIONS"] = {{"host": "127.0.0.1", "port": {port}}}\nADMINS = ["ann@example.com"]\n',
}
OWN_APP = 'INSTALLED_APPS += ["mail"]\n'
OFFLINE = ("No matching distribution found", "Could not find a version")
STRICT = "error::DeprecationWarning,error::PendingDeprecationWarning"


def build_wheel(folder):
    """Return the wheel that `python -m build` makes of this repository."""
    finished = _run([sys.executable, "-m", "build", "--outdir", folder, ROOT])
    if "No module named build" in finished.stdout:
        missing("build (requirements-dev.txt)")
    _require_index(finished, "hatchling")
    assert finished.returncode == 0, finished.stdout
    [wheel] = folder.glob("*.whl")
    return wheel


class Project:
    """The project, its environment and its commands; `django` is the version that it is on."""

    def __init__(self, folder, wheel, django, relay):
        self.django, self.folder = django, folder / "shop"
        self.bin = folder / "venv" / "bin"
        clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.environment = {**clean, "PYTHONWARNINGS": STRICT}
        self._install(folder / "venv", wheel)
        self.folder.mkdir()
        self.run(self.bin / "django-admin", "startproject", "shop", self.folder)
        shutil.copytree(Path(__file__).parent / "shop", self.folder, dirs_exist_ok=True)
        with (self.folder / "shop" / "settings.py").open("a") as settings:
            settings.write(ADDED[django] + OWN_APP + RELAY[django].format(port=relay.port))

    def _install(self, venv, wheel):
        """Install Django, and then the distribution, for which nothing else may be fetched."""
        # Its own pip: an old one, as another Python may have, does not run on a new Python.
        _run([python_for(self.django), "-m", "venv", venv])
        pip = [self.bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        [pin] = [pin for pin in pins(VERSIONS[self.django]) if pin.name == "django"]
        finished = _run([*pip, str(pin)])
        _require_index(finished, f"Django {self.django}")
        assert finished.returncode == 0, finished.stdout
        finished = _run([*pip, "--no-index", wheel])
        assert finished.returncode == 0, finished.stdout

    def run(self, *command, ends_well=True):
        """Run a program in the project, and return what it says."""
        finished = _run(command, cwd=self.folder, env=self.environment)
        assert (finished.returncode == 0) == ends_well, finished.stdout
        return finished.stdout

    def python(self, script):
        return self.run(self.bin / "python", "-c", script)

    def manage(self, *arguments, settings="shop.settings", ends_well=True):
        command = (self.bin / "python", "manage.py", *arguments, f"--settings={settings}")
        return self.run(*command, ends_well=ends_well)

    def with_settings(self, name, lines):
        """Return the name of settings that differ in these lines from the project's."""
        (self.folder / "shop" / f"{name}.py").write_text(f"from shop.settings import *\n{lines}\n")
        return f"shop.{name}"

    @contextmanager
    def served(self):
        """Serve the project with its own runserver, whose URL is in `url`; what it says is in `log`."""
        command = [self.bin / "python", "-u", "manage.py", "runserver", "--noreload", "127.0.0.1:0"]
        self.log, listening = [], threading.Event()
        with Child(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            reader = threading.Thread(target=self._read_log, args=(process.stdout, listening))
            reader.start()
            try:
                assert listening.wait(60), "".join(self.log)
                yield
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)
                reader.join(60)
        assert "Traceback" not in "".join(self.log), "".join(self.log)

    def _read_log(self, output, listening):
        for line in output:
            self.log.append(line)
            if found := re.search(r"at (http://[^/]+)/", line):
                self.url = found[1]
                listening.set()


def python_for(django):
    """Return a Python that this Django runs on: that of the tests, or another of this machine."""
    if django == "5.2" or sys.version_info >= (3, 12):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for version in ("3.13", "3.14", "3.12"):
        for python in (f"python{version}", *glob(f"{pyenv}/versions/{version}.*/bin/python3")):
            if shutil.which(python) and _run([python, "-c", ""]).returncode == 0:
                return python
    return missing(f"Python 3.12 or newer, for Django {django},")


def _require_index(finished, package):
    if any(sentence in finished.stdout for sentence in OFFLINE):
        missing(f"a package index with {package}")


def _run(command, **options):
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL, "text": True}
    return subprocess.run(command, **output, timeout=240, **options)
