"""What the site is made of: each file with its hash, one version of a package in each place, and an audit of them."""

import re
import subprocess
import sys
from collections import defaultdict

import pytest
from packaging.requirements import Requirement

import supply
from tests.conftest import missing
from tests.http_provider import SILENCE, HttpProvider, answer
from tests.own_servers import free_port
from tests.pins import ROOT, entries, pins

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
HASH = re.compile(r"sha256:[0-9a-f]{64}")
BESIDE_ONE_ANOTHER = supply.FILES.keys() - {"requirements-django6.1.txt", supply.TOOLS}
PLACES = [
    {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system, "os_name": name}
    for python in ("3.10", "3.11", "3.12", "3.13", "3.14")
    for system, name in {"linux": "posix", "darwin": "posix", "win32": "nt"}.items()
]


# --- The files ----------------------------------------------------------------------------------------------------


def group_of(file):
    return supply.FILES[file].split()[1]


def named(group):
    """Yield the name of each package that a group asks for."""
    for wanted in GROUPS[group]:
        if isinstance(wanted, dict):
            yield from named(wanted["include-group"])
        else:
            yield Requirement(wanted).name.lower().replace("_", "-")


def test_one_command_writes_every_requirements_file():
    there = {path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.txt"), *ROOT.glob("benchmarks/*.txt")]}
    assert there == supply.FILES.keys()
    assert sorted(map(group_of, supply.FILES)) == sorted(GROUPS)
    assert all("#    make requirements\n" in (ROOT / file).read_text("utf-8") for file in there)


@pytest.mark.parametrize("file", supply.FILES)
def test_a_file_has_all_that_its_group_wants_with_exact_versions_and_hashes(file):
    assert set(named(group_of(file))) <= {pin.name for pin in pins(file)}
    for requirement, hashes in entries(file):
        assert "==" in requirement
        assert hashes, requirement
        assert all(map(HASH.fullmatch, hashes)), requirement


def test_files_that_are_installed_together_have_the_same_version_everywhere():
    for place in PLACES:
        versions = defaultdict(set)
        for file in BESIDE_ONE_ANOTHER:
            for pin in pins(file):
                if pin.marker is None or pin.marker.evaluate(place):
                    versions[pin.name].add(str(pin.specifier))
        assert {name: found for name, found in versions.items() if len(found) > 1} == {}, place


def test_files_that_are_installed_together_have_the_same_hashes():
    """pip takes of two lists what is in both."""
    listed = defaultdict(set)
    for file in BESIDE_ONE_ANOTHER:
        for requirement, hashes in entries(file):
            listed[requirement.partition(" ;")[0]].add(hashes)
    assert [requirement for requirement, found in listed.items() if len(found) > 1] == []


def test_another_file_than_the_one_that_was_locked_is_not_installed(tmp_path):
    [locked] = [entry for entry in entries("requirements.txt") if entry[0].startswith("whitenoise==")]
    version = locked[0].partition("==")[2]
    (tmp_path / f"whitenoise-{version}-py3-none-any.whl").write_bytes(b"of somebody else")
    (tmp_path / "requirements.txt").write_text(" ".join([locked[0], *(f"--hash={digest}" for digest in locked[1])]))
    pip = [sys.executable, "-m", "pip", "download", "--no-index", "--find-links", tmp_path, "--dest", tmp_path / "got"]
    finished = subprocess.run([*pip, "-r", tmp_path / "requirements.txt"], capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert "DO NOT MATCH THE HASHES" in finished.stderr


# --- The audit ----------------------------------------------------------------------------------------------------

FLAW = {
    "id": "GHSA-0000",
    "affected": [
        {
            "package": {"name": "django", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.2.99"}]}],
        }
    ],
}


@pytest.fixture
def tools():
    if not supply.tools_are_there():
        missing("pip-audit (make audit)")


def about_django(header, body):
    """Answer as osv.dev does."""
    return answer(200, {"vulns": [FLAW]} if '"django"' in body else {})


def audit(url):
    command = [sys.executable, "supply.py", "audit", "--osv-url", url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


def test_an_audit_asks_for_every_version_whatever_place_it_is_for_and_fails_with_what_is_known(tools):
    with HttpProvider(about_django) as service:
        finished = audit(service.url)
    asked = {(body["package"]["name"], body["version"]) for body in service.bodies()}
    wanted = {(pin.name, str(pin.specifier)[2:]) for file in supply.FILES for pin in pins(file)}
    assert asked == wanted
    assert (finished.returncode, finished.stdout) == (1, f"{len(wanted)} packages are audited.\n")
    for name, version in wanted:
        assert (f"{name} {version} has GHSA-0000, mended in 5.2.99\n" in finished.stderr) == (name == "django")


def test_nothing_is_told_of_a_package_of_which_nothing_is_known(tools):
    with HttpProvider(about_django) as service:
        assert supply.ask(["idna==3.20"], ["--osv-url", service.url], seconds=60) == []


def test_an_audit_without_an_answer_says_that_there_was_none_and_fails_nothing(tools):
    finished = audit(f"http://127.0.0.1:{free_port()}/")
    assert finished.returncode == 0
    assert finished.stdout.startswith("NOT AUDITED: ")
    assert "Connection refused" in finished.stdout


def test_a_service_that_is_silent_is_waited_for_no_longer_than_told(tools):
    with HttpProvider(SILENCE) as service, pytest.raises(supply.Unanswered, match="silent for 1 s"):
        supply.ask(["django==5.2"], ["--osv-url", service.url], seconds=1)
