"""dev.py, what `make run`, `make test` and `make test-long` do: each failure is one sentence."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import missing

ROOT = Path(__file__).parent.parent


@pytest.fixture
def project(tmp_path):
    """An empty project that wants one package that does not exist."""
    shutil.copy(ROOT / "dev.py", tmp_path)
    (tmp_path / "requirements.txt").write_text("flasky-needs-no-such-package==1\n")
    (tmp_path / ".env.example").write_text("DEBUG=True\nSECRET_KEY=\n")
    return tmp_path


def dev(folder, *arguments, **variables):
    command = [sys.executable, "dev.py", *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)


def assert_fails_with_a_sentence(finished, sentence):
    assert finished.returncode == 1
    assert sentence in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_named_with_another_to_try(project):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = dev(project, "run", str(port))
    assert_fails_with_a_sentence(finished, f"Port {port} cannot be used (Address already in use). Choose another")


@pytest.mark.parametrize("port", ["eighty", "0", "65536", "-1", ""])
def test_a_port_that_is_none_is_named(project, port):
    assert_fails_with_a_sentence(dev(project, "run", port), f"The port is {port}; it must be a number")


def test_an_unknown_task_is_answered_with_those_that_there_are(project):
    assert_fails_with_a_sentence(dev(project, "rnu"), "python dev.py run [PORT], python dev.py test, or")


def test_without_a_network_it_says_so_and_where_pip_complains(project):
    (project / "requirements-dev.txt").write_text("")
    no_index = {"PIP_INDEX_URL": "http://127.0.0.1:1/", "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
    assert_fails_with_a_sentence(dev(project, "test", **no_index), "no way to the package index. What pip says is in")
    assert not (project / ".venv" / "installed.txt").exists()


def test_the_environment_file_gets_a_random_key_and_is_never_overwritten(project, monkeypatch):
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.delitem(sys.modules, "dev", raising=False)
    import dev as copy

    copy.write_env()
    first = (project / ".env").read_text()
    copy.write_env()
    assert (project / ".env").read_text() == first
    key = first.partition("SECRET_KEY=")[2].strip()
    assert len(key) > 50
    assert os.name == "nt" or (project / ".env").stat().st_mode & 0o077 == 0
    monkeypatch.delitem(sys.modules, "dev")


def test_make_says_when_there_is_no_python(tmp_path):
    if not shutil.which("make"):
        missing("make")
    shutil.copy(ROOT / "Makefile", tmp_path)
    command = ["make", "run", "PYTHON=/no/such/python"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 2
    assert "Flasky needs Python 3.10 or newer, and /no/such/python does not run here" in finished.stderr
