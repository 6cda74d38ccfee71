"""A copy of the project, as whoever has just cloned it has it; the commands of the pages may change it."""

import os
import shutil
import site
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, blocks

NOT_CLONED = shutil.ignore_patterns(".*", "__pycache__", "*.sqlite3*", "staticfiles", "sent-mail", "results.json")
OWN_MAILS = ("news", "password_reset")  # that the reader of an example would have


class Project:
    """The copy, its .venv with the packages of the tests, and the environment of a terminal in which it is active."""

    def __init__(self, folder):
        self.folder = folder / "flasky"
        shutil.copytree(ROOT, self.folder, ignore=NOT_CLONED)
        shutil.copy(ROOT / ".env.example", self.folder)
        self._make_venv()
        self._write_mails()
        self.environment = {
            "PATH": f"{self.folder / '.venv/bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "FORM_MIN_SECONDS": "0",
        }
        self.run("cp .env.example .env && python manage.py migrate --verbosity 0")

    def _make_venv(self):
        """Make .venv as dev.py would, without a network: with the packages that run the tests."""
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=60)
        (packages,) = venv.glob("lib/*/site-packages")
        (packages / "of_the_tests.pth").write_text("\n".join(site.getsitepackages()), "utf-8")
        shutil.copy(ROOT / "requirements.txt", venv / "installed.txt")
        for program in ("celery", "gunicorn", "uvicorn"):
            (venv / "bin" / program).write_text(f'#!/bin/sh\nexec python -m {program} "$@"\n', "utf-8")
            (venv / "bin" / program).chmod(0o755)

    def _write_mails(self):
        """Write the mails that the pages write, and those that they only name."""
        for block in blocks("django"):
            path = block.before.strip("`:")
            (self.folder / path).write_text(block.text, "utf-8")
            for name in OWN_MAILS if "_digest" not in path else ():
                (self.folder / path.replace("welcome", name)).write_text(block.text, "utf-8")

        with (self.folder / "flasky/settings.py").open("a") as settings:
            settings.write('\nMAIL_SAMPLES["mail/welcome_digest"] = "accounts.welcome.digest_sample"\n')

    def run(self, command, **variables):
        """Run a command of the shell to its end; return the finished process, its output as one text."""
        return subprocess.run(
            ["sh", "-ec", command],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=110,
        )


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("clone"))
