"""Who may import whom. The directory is the diagram; this keeps it true."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# room: whose rooms it may import from, beside the ground; a module that is in no folder is a room by itself
ALLOWED = {
    "accounts": {"guard", "mail", "mail.status", "mail.storing", "site"},
    "celery": {"mail.dispatchers", "site"},
    "databases": {"env"},
    "drill": {"mail.db", "mail.delivery", "mail.dispatchers", "mail.signals", "mail.status"},
    "env": set(),
    "faults": {"guard", "mail.wire", "site"},
    "guard": {"mail", "mail.db"},
    "mail": set(),
    "mail.admin": {"mail.web"},
    "mail.backend": {"mail", "mail.db", "mail.dispatchers", "mail.limits", "mail.storing", "mail.wire"},
    "mail.checks": {"mail.compat", "mail.db", "mail.limits", "mail.status", "mail.transports"},
    "mail.compat": set(),
    "mail.conf": {"mail.compat"},
    "mail.db": set(),
    "mail.delivery": {"mail.db", "mail.limits", "mail.signals", "mail.transports"},
    "mail.dispatchers": {"mail.delivery", "mail.limits", "mail.transports"},
    "mail.limits": {"mail", "mail.db"},
    "mail.management": {
        "mail",
        "mail.backend",
        "mail.compat",
        "mail.db",
        "mail.delivery",
        "mail.dispatchers",
        "mail.migrating",
        "mail.previews",
        "mail.privacy",
        "mail.status",
        "mail.storing",
        "mail.transports",
        "mail.wire",
    },
    "mail.migrating": set(),
    "mail.models": set(),
    "mail.monitoring": {"mail.db", "mail.status"},
    "mail.previews": {"mail"},
    "mail.privacy": {"mail", "mail.db", "mail.wire"},
    "mail.runtime": set(),
    "mail.signals": set(),
    "mail.status": {"mail.db", "mail.dispatchers", "mail.transports", "mail.wire"},
    "mail.storing": {"mail.db", "mail.wire"},
    "mail.tasks": {"mail.dispatchers"},
    "mail.styles": set(),
    "mail.templatetags": {"mail.status", "mail.styles", "mail.web"},
    "mail.transports": {"mail.compat", "mail.limits", "mail.signals", "mail.wire"},
    "mail.web": {"mail", "mail.dispatchers", "mail.previews", "mail.status", "mail.storing", "mail.wire"},
    "mail.wire": {"mail.compat"},
    "settings": {"databases", "env"},
    "site": {"env", "mail.status", "mail.wire"},
}
GROUND = {"mail.conf", "mail.models", "mail.runtime"}  # what all may import
WIRING = {"apps", "urls", "wsgi", "asgi"}  # they join what the others keep apart


def room_of(module):
    """Return the folder that the module is in, or the module itself where there is none."""
    parts = module.removeprefix("flasky.").split(".")
    return ".".join(parts[:2]) if parts[0] == "mail" else parts[0]


@cache
def modules():
    """Return the path of each module with something in it, by its name."""
    found = {}
    for path in sorted([*ROOT.glob("flasky/**/*.py"), *ROOT.glob("accounts/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "migrations" not in parts and path.read_text().strip() and parts[-1] not in WIRING:
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imported(path):
    """Return the modules of ours that the file imports, and whether one is imported inside a function."""
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {as_module(f"{node.module}.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    hidden = any(
        isinstance(inner, (ast.Import, ast.ImportFrom))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    )
    return {name for name in names if name.split(".")[0] in ("flasky", "accounts")}, hidden


def as_module(name):
    """Return the module that the name is, or that it is in."""
    path = ROOT.joinpath(*name.split("."))
    return name if path.is_dir() or path.with_suffix(".py").is_file() else name.rpartition(".")[0]


def rooms_that(module):
    """Return the other rooms that the module imports something of."""
    return {room_of(name) for name in imported(modules()[module])[0]} - {room_of(module)}


@pytest.mark.parametrize("module", modules())
def test_each_module_imports_only_what_its_room_may(module):
    assert rooms_that(module) - GROUND <= ALLOWED[room_of(module)]
    assert not imported(modules()[module])[1], "an import inside a function hides a cycle"


def test_no_arrow_of_the_table_is_without_an_import():
    drawn = {(room_of(module), room) for module in modules() for room in rooms_that(module)}
    assert {(room, other) for room, others in ALLOWED.items() for other in others} <= drawn


def test_no_room_leads_back_to_itself():
    arrows = {room: set() for room in map(room_of, modules())}
    for module in modules():
        arrows[room_of(module)] |= rooms_that(module)
    TopologicalSorter(arrows).prepare()  # it names a cycle


def test_no_module_leads_back_to_itself():
    arrows = {module: imported(path)[0] - {module} for module, path in modules().items()}
    TopologicalSorter(arrows).prepare()


def test_the_environment_is_read_in_the_settings_only():
    """The others named here only pass it on, or use django-environ for something else."""
    may = {"env.py", "url.py", "settings.py", "wsgi.py", "asgi.py", "celery.py", "runserver.py"}
    paths = [*ROOT.glob("flasky/**/*.py"), *ROOT.glob("accounts/**/*.py")]
    readers = {path.name for path in paths if re.search(r"\benviron\b|getenv", path.read_text())}
    assert readers <= may


def test_the_project_loads_without_celery():
    script = "import sys, django; django.setup(); raise SystemExit('celery' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()


def test_whoever_sends_by_smtp_loads_no_library_for_http():
    script = """
import sys, django
from django.conf import settings
settings.INSTALLED_APPS.remove("anymail")
django.setup()
from django.core.mail import EmailMessage
from flasky.mail import backend
from flasky.mail import transports
from flasky.mail.wire import compose as wire
from flasky.mail.delivery import worker
wire.compose(EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"]))
transports.new_transport()
raise SystemExit(", ".join({"requests", "urllib3", "boto3", "botocore"} & set(sys.modules)) or 0)
"""
    finished = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()
