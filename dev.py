"""What `make run`, `make test` and `make test-long` do, for every system: `python dev.py run [PORT]` and so on."""

import importlib.util
import os
import secrets
import shlex
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED = VENV / "installed.txt"  # what was asked for; written when all of it is there
PIP_LOG = VENV / "pip.log"
CHECKS = (
    "-m ruff check",
    "-m ruff format --check",
    "-m mypy",
    "manage.py check_mail_templates --settings=tests.settings",
)
# Most tests wait for another process. The order is ours: see LONGEST in tests/conftest.py.
PYTEST = "-m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder"
TESTS = {
    "test": (*CHECKS, f"{PYTEST} -m 'not long'"),
    "test-long": (f"{PYTEST} -m long",),
}


def main(task="", port="8000"):
    os.chdir(ROOT)
    if sys.version_info < (3, 10):
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Flasky needs Python 3.10 or newer, and this is {found}. PYTHON=python3.12 names another.")
    if task == "run":
        run(port)
    elif task in TESTS:
        test(TESTS[task])
    else:
        sys.exit("python dev.py run [PORT], python dev.py test, or python dev.py test-long")


def run(port):
    require_free_port(port)
    install("requirements.txt")
    write_env()
    say("Bringing the database up to date.")
    call("manage.py", "migrate", "--verbosity", "0")
    say(f"Flasky is at http://127.0.0.1:{port}/ and every mail at http://127.0.0.1:{port}/mailbox/ (Ctrl-C stops).")
    become("manage.py", "runserver", f"127.0.0.1:{port}")


def test(commands):
    install("requirements.txt", "requirements-dev.txt")
    use_python_as_it_is()
    for command in commands:
        say(command.removeprefix("-m "))
        call(*shlex.split(command))


def use_python_as_it_is():
    """Forget what a shell tells Python to do in another way: to leave out assertions, say, or to read no UTF-8."""
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    os.environ["PYTHONUTF8"] = "1"


def require_free_port(port):
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        sys.exit(f"The port is {port}; it must be a number from 1 to 65535, for example: make run PORT=8001")
    with socket.socket() as server:
        if os.name != "nt":  # there it would let two servers share the port
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", int(port)))
        except OSError as error:
            other = 8001 if port != "8001" else 8002
            sys.exit(f"Port {port} cannot be used ({error.strerror}). Choose another: make run PORT={other}")


def install(*files):
    """Install the requirements files into .venv, unless that is done; an interrupted installation starts anew."""
    wanted = "".join((ROOT / file).read_text("utf-8") for file in files)
    if INSTALLED.is_file() and INSTALLED.read_text("utf-8").startswith(wanted) and works("import django, environ"):
        return
    INSTALLED.unlink(missing_ok=True)
    if not works("import pip"):
        make_venv()
    say(f"Installing the packages of {' and '.join(files)} into .venv; this can take a minute.")
    options = ["--no-input", "--disable-pip-version-check", "--retries", "2"]
    pip = [str(PYTHON), "-m", "pip", "install", *options, *(f"--requirement={file}" for file in files)]
    with PIP_LOG.open("wb") as log:
        failed = subprocess.call(pip, stdout=log, stderr=log)
    if failed:
        no_network = b"Retrying" in PIP_LOG.read_bytes()
        why = "cannot be downloaded: no network, or no way to the package index" if no_network else "were not installed"
        sys.exit(f"The packages {why}. What pip says is in {PIP_LOG.relative_to(ROOT)}")
    INSTALLED.write_text(wanted, "utf-8")


def works(statement):
    return PYTHON.is_file() and not subprocess.call(
        [str(PYTHON), "-c", statement], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def make_venv():
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        sys.exit(f"{sys.executable} cannot make virtual environments. On Debian and Ubuntu: sudo apt install {package}")
    say("Making a virtual environment in .venv.")
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]):
        sys.exit(f"The virtual environment could not be made in {VENV}; the lines above say why.")


def write_env():
    env = ROOT / ".env"
    if env.exists():
        return
    say("Writing .env, with a random SECRET_KEY.")
    example = (ROOT / ".env.example").read_text("utf-8")
    env.touch(mode=0o600)
    env.write_text(example.replace("\nSECRET_KEY=\n", f"\nSECRET_KEY={secrets.token_urlsafe(50)}\n"), "utf-8")


def call(*arguments):
    code = subprocess.call([str(PYTHON), *arguments])
    if code:
        sys.exit(code)


def become(*arguments):
    """Let Python take this process's place, so that whoever stops it stops the server."""
    if os.name == "nt":  # exec leaves the terminal to the shell there
        call(*arguments)
    else:
        os.execv(PYTHON, [str(PYTHON), *arguments])


def say(sentence):
    print(sentence, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except KeyboardInterrupt:
        sys.exit(130)
