"""What `make requirements` and `make audit` do, for every system: `python supply.py requirements` and `… audit`.

More words go to uv (`--upgrade`, `--upgrade-package NAME`) or to pip-audit (`--ignore-vuln ID`). Both come from
requirements-supply.txt into an environment of their own, so that nothing they need gets to the site.
"""

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv-supply"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
INSTALLED = VENV / "installed.txt"
TOOLS = "requirements-supply.txt"
# Each file, and the group of pyproject.toml that uv makes it from. In this order, because each may be installed beside
# those that its -c names.
FILES = {
    "requirements.txt": "--group site",
    "requirements-celery.txt": "--group celery -c requirements.txt",
    "requirements-postgresql.txt": "--group postgresql -c requirements.txt",
    "requirements-databases.txt": "--group databases -c requirements.txt -c requirements-postgresql.txt",
    "requirements-metrics.txt": "--group metrics -c requirements.txt",
    "requirements-dev.txt": "--group dev -c requirements.txt -c requirements-celery.txt -c requirements-databases.txt",
    "benchmarks/requirements.txt": "--group benchmarks -c requirements.txt -c requirements-celery.txt"
    " -c requirements-databases.txt -c requirements-dev.txt",
    "requirements-django6.1.txt": "--group django6.1 --python-version 3.12",
    TOOLS: "--group supply",
}
# With extras, because pip wants "coverage[toml]" to have a version even if "coverage" has one.
COMPILE = ("-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-strip-extras")
COMPILE += ("--custom-compile-command", "make requirements")
AUDIT = ("-m", "pip_audit", "--vulnerability-service", "osv", "--no-deps", "--disable-pip")
AUDIT += ("--format", "json", "--progress-spinner", "off")
SOON = 30  # s, for the first answer of the service; it is asked for each package by itself
LATEST = 300  # s, for all of them
PIN = re.compile(r"^([\w.-]+)(?:\[.+?\])?==([^\s;]+)", re.MULTILINE)
WRONG_OPTIONS = 2  # the status of pip-audit


class Unanswered(Exception):
    """The service is away, refuses, or is silent."""


def main(task="", *options):
    os.chdir(ROOT)
    if task == "requirements":
        requirements(options)
    elif task == "audit":
        audit(options)
    else:
        sys.exit("python supply.py requirements [--upgrade], or python supply.py audit")


def requirements(options):
    """Write each file anew; without options it keeps the versions that it has."""
    install_tools()
    for file, source in FILES.items():
        print(f"Writing {file}.", flush=True)
        lowest = [] if "--python-version" in source else ["--python-version", "3.10"]
        command = [PYTHON, *COMPILE, *lowest, *source.split(), *options, "--output-file", file]
        if subprocess.call(command):
            sys.exit(f"{file} could not be written; the lines above say why.")


def audit(options):
    """End with 1 if a package has a known vulnerability; say so if the service that knows them does not answer."""
    install_tools()
    wanted = pins()
    found = []
    try:
        ask(wanted[:1], options, SOON)
        for packages in rounds(wanted):
            found += ask(packages, options, LATEST)
    except Unanswered as why:
        print(f"NOT AUDITED: the service that knows the vulnerabilities, osv.dev, gave no answer. pip-audit: {why}")
    else:
        print(f"{len(wanted)} packages are audited.")
    if found:
        sys.exit("\n".join([*found, "A newer version: make requirements OPTIONS='--upgrade-package NAME'"]))


def install_tools():
    if tools_are_there():
        return
    print(f"Installing uv and pip-audit into {VENV.name}.", flush=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r", TOOLS]
    if subprocess.call([sys.executable, "-m", "venv", "--clear", VENV]) or subprocess.call(pip):
        sys.exit(f"The packages of {TOOLS} could not be installed; the lines above say why.")
    shutil.copy(TOOLS, INSTALLED)  # last: an interrupted installation starts anew


def tools_are_there():
    return INSTALLED.is_file() and filecmp.cmp(ROOT / TOOLS, INSTALLED, shallow=False)


def pins():
    """Return each `name==version` of the files once, whatever system or Python it is for."""
    lines = "".join((ROOT / file).read_text("utf-8") for file in FILES)
    return sorted({f"{name}=={version}" for name, version in PIN.findall(lines)})


def rounds(wanted):
    """Yield them so that no round has two versions of a package, which pip-audit refuses."""
    while wanted:
        packages = list({pin.partition("==")[0]: pin for pin in wanted}.values())
        yield packages
        wanted = [pin for pin in wanted if pin not in packages]


def ask(packages, options, seconds):
    """Return a line for each known vulnerability of these packages."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text("\n".join(packages), "utf-8")
        command = [PYTHON, *AUDIT, *options, "--requirement", file]
        try:
            finished = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired as late:
            raise Unanswered(f"silent for {seconds} s") from late
    said = finished.stderr.strip().rpartition("\n")[2]
    if finished.returncode == WRONG_OPTIONS:
        sys.exit(said)
    if not finished.stdout:
        raise Unanswered(said)
    answers = json.loads(finished.stdout)["dependencies"]
    for unknown in (answer["skip_reason"] for answer in answers if "skip_reason" in answer):
        raise Unanswered(unknown)
    return [f"{answer['name']} {answer['version']} has {told(flaw)}" for answer in answers for flaw in answer["vulns"]]


def told(flaw):
    return f"{flaw['id']}, mended in {' or '.join(flaw['fix_versions']) or 'no version yet'}"


if __name__ == "__main__":
    main(*sys.argv[1:])
