"""Who may import whom. The directory is the diagram; this keeps it true."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# module: what of ours it may import
ALLOWED = {
    "flasky.settings": {"flasky.mailers"},
    "flasky.mailers": set(),
    "flasky.celery": {"flasky.mail.dispatchers", "flasky.mail.dispatchers.celery", "flasky.serving"},
    "flasky.logs": {"flasky.request_id"},
    "flasky.request_id": set(),
    "flasky.faults.secrets": {"flasky.logs"},
    "flasky.faults.report": {"flasky.faults.secrets"},
    "flasky.faults.probes": set(),
    "flasky.faults.identity": {"flasky.faults.secrets"},
    "flasky.faults.models": {"flasky.faults.identity"},
    "flasky.faults.telling": {"flasky.faults.identity"},
    "flasky.faults.handler": {f"flasky.faults.{name}" for name in ("identity", "probes", "secrets", "telling")},
    "flasky.databases.gate": set(),
    "flasky.databases.mysql.base": {"flasky.databases.gate"},
    "flasky.databases.postgresql.base": {"flasky.databases.gate"},
    "flasky.serving": set(),
    "flasky.views": set(),
    "flasky.visitor": set(),
    "flasky.mail": set(),  # the door: it imports no models
    "flasky.mail.models": {
        f"flasky.mail.models.{name}"
        for name in ("deliverers", "history", "message", "probes", "relays", "states", "tally")
    },  # the door of these; nobody else imports them
    "flasky.mail.models.states": set(),
    "flasky.mail.models.leases": set(),
    "flasky.mail.models.history": set(),
    "flasky.mail.models.tally": set(),
    "flasky.mail.models.deliverers": set(),
    "flasky.mail.models.probes": set(),
    "flasky.mail.models.relays": {"flasky.mail.models.leases"},
    "flasky.mail.models.message": {f"flasky.mail.models.{name}" for name in ("history", "leases", "states", "tally")},
    "flasky.mail.headers": set(),
    "flasky.mail.wire": {"flasky.mail.headers", "flasky.mailers"},
    "flasky.mail.replies": set(),
    "flasky.mail.trouble": {"flasky.mail.replies"},
    "flasky.mail.transports": {
        "flasky.mail",
        "flasky.mail.leases",
        "flasky.mail.seats",
        "flasky.mail.transports.base",
        "flasky.mail.transports.own_smtp",
        "flasky.mail.transports.smtp",
        "flasky.mail.trouble",
        "flasky.mailers",
    },
    "flasky.mail.transports.own_smtp": {
        "flasky.mail.replies",
        "flasky.mail.transports.base",
        "flasky.mail.transports.failures",
        "flasky.mail.transports.smtp",
        "flasky.mail.trouble",
        "flasky.mail.wire",
    },
    "flasky.mail.transports.failures": {"flasky.mail.replies"},
    "flasky.mail.transports.providers": set(),
    "flasky.mail.transports.base": {
        "flasky.mail.replies",
        "flasky.mail.seats",
        "flasky.mail.transports.failures",
        "flasky.mail.transports.providers",
        "flasky.mail.trouble",
        "flasky.mail.wire",
    },
    "flasky.mail.transports.smtp": {
        "flasky.mail.replies",
        "flasky.mail.transports.base",
        "flasky.mail.trouble",
    },
    "flasky.mail.statements": set(),
    "flasky.mail.outages": set(),
    "flasky.mail.recording": {"flasky.mail.models", "flasky.mail.outages", "flasky.mail.statements"},
    "flasky.mail.leases": {"flasky.mail.models"},
    "flasky.mail.pauses": {"flasky.mail.recording"},
    "flasky.mail.seats": {"flasky.mail.models"},
    "flasky.mail.rate": {"flasky.mail.models", "flasky.mail.pauses", "flasky.mail.recording"},
    "flasky.mail.delivery": {
        "flasky.mail.leases",
        "flasky.mail.models",
        "flasky.mail.outages",
        "flasky.mail.pauses",
        "flasky.mail.rate",
        "flasky.mail.recording",
        "flasky.mail.replies",
        "flasky.mail.seats",
        "flasky.mail.statements",
        "flasky.mail.transports",
    },
    "flasky.mail.pool": set(),
    "flasky.mail.progress": set(),
    "flasky.mail.signals": set(),
    "flasky.mail.worker": {
        f"flasky.mail.{name}" for name in ("delivery", "models", "pauses", "pool", "progress", "signals", "transports")
    },
    "flasky.mail.backend": {
        "flasky.mail",
        "flasky.mail.models",
        "flasky.mail.origin",
        "flasky.mail.statements",
        "flasky.mail.wire",
    },  # no named dispatcher
    "flasky.mail.dispatchers": set(),
    "flasky.mail.dispatchers.none": set(),
    "flasky.mail.dispatchers.inline": {"flasky.mail.delivery", "flasky.mail.models", "flasky.mail.transports"},
    "flasky.mail.dispatchers.threads": {"flasky.mail.worker"},
    "flasky.mail.dispatchers.celery": {"flasky.mail.dispatchers"},
    "flasky.mail.origin": {"flasky.mail.models", "flasky.request_id"},
    "flasky.mail.fate": {"flasky.mail.models"},
    "flasky.mail.fate_views": {"flasky.mail.fate", "flasky.visitor"},
    "flasky.mail.templatetags.fate": {"flasky.mail.fate"},
    "flasky.mail.notices": {"flasky.mail.models"},
    "flasky.mail.vitals": {f"flasky.mail.{name}" for name in ("charts", "models", "notices")},
    "flasky.mail.templatetags.outbox": {"flasky.mail.vitals"},
    "flasky.mail.patience": set(),
    "flasky.mail.readiness": {f"flasky.mail.{name}" for name in ("models", "outages", "pauses")} | {"flasky.mail"},
    "flasky.mail.figures": {"flasky.mail.models"},
    "flasky.mail.metrics": {"flasky.mail", "flasky.mail.figures", "flasky.mail.models"},
    "flasky.mail.checks": {f"flasky.mail.{name}" for name in ("models", "notices", "outages", "transports", "wire")},
    "flasky.mail.periods": {"flasky.mail.models"},
    "flasky.mail.listing": {"flasky.mail.models", "flasky.mail.periods", "flasky.mail.wire"},
    "flasky.mail.charts": set(),
    "flasky.mail.list_pages": {
        f"flasky.mail.{name}"
        for name in ("catalogue", "charts", "listing", "live", "message_pages", "models", "periods", "vitals")
    },
    "flasky.mail.parts": {f"flasky.mail.{name}" for name in ("headers", "models", "wire")},
    "flasky.mail.live": set(),
    "flasky.mail.message_pages": {f"flasky.mail.{name}" for name in ("live", "models", "notices", "parts")},
    "flasky.mail.copies": {"flasky.mail.models", "flasky.mail.origin", "flasky.mail.wire"},
    "flasky.mail.actions": {f"flasky.mail.{name}" for name in ("backend", "copies", "models")} | {"flasky.mail"},
    "flasky.mail.action_pages": {"flasky.mail.actions", "flasky.mail.listing", "flasky.mail.models"},
    "flasky.mail.message_admin": {f"flasky.mail.{name}" for name in ("action_pages", "message_pages", "models")},
    "flasky.mail.list_admin": {f"flasky.mail.{name}" for name in ("action_pages", "list_pages", "message_admin")},
    "flasky.mail.admin": {f"flasky.mail.{name}" for name in ("list_admin", "message_admin", "models")},
    "flasky.mail.views": {f"flasky.mail.{name}" for name in ("fate", "list_pages", "message_pages", "models")}
    | {"flasky.visitor"},
    "flasky.mail.catalogue": {"flasky.mail"},
    "flasky.mail.proofreading": {"flasky.mail.catalogue"},
    "flasky.mail.catalogue_views": {
        f"flasky.mail.{name}" for name in ("catalogue", "message_pages", "proofreading", "views")
    },
    "flasky.mail.drill.scratch": set(),
    "flasky.mail.drill.relay": set(),
    "flasky.mail.drill.points": {"flasky.mail", "flasky.mail.models", "flasky.mail.transports"},
    "flasky.mail.drill.celery_queue": {"flasky.mail.dispatchers.celery"},
    "flasky.mail.drill.victim": {"flasky.mail", "flasky.mail.dispatchers", "flasky.mail.drill.points"},
    "flasky.mail.drill.conductor": {
        "flasky.mail",
        "flasky.mail.drill.points",
        "flasky.mail.drill.relay",
        "flasky.mail.models",
    },
    "flasky.mail.drill.report": {"flasky.mail.drill.points", "flasky.mail.models"},
    "accounts.names": set(),
    "accounts.models": {"accounts.names"},
    "accounts.sessions": set(),
    "accounts.receivers": {"accounts.models", "accounts.sessions", "flasky.mail"},
    "accounts.forms": {"accounts.names"},
    "accounts.views": {"accounts.forms", "accounts.models", "flasky.mail", "flasky.visitor"},
    "accounts.admin": {"accounts.forms", "accounts.models", "accounts.names", "flasky.mail"},
}
COMMANDS = {"flasky.mail", "flasky.mail.delivery", "flasky.mail.models", "flasky.mail.replies"} | {
    f"flasky.mail.{name}" for name in ("origin", "transports", "trouble", "wire", "worker")
}
COMMANDS |= {f"flasky.mail.drill.{name}" for name in ("conductor", "relay", "report", "scratch")}
COMMANDS |= {"flasky.mail.catalogue", "flasky.mail.proofreading", "flasky.mailers"}
WIRING = {"apps", "urls", "wsgi", "asgi"}  # they join what the others keep apart


def modules():
    for path in sorted([*ROOT.glob("flasky/**/*.py"), *ROOT.glob("accounts/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if "migrations" not in parts and path.read_text().strip() and parts[-1] not in WIRING:
            yield pytest.param(name, path, id=name)


def imported(path):
    """Return the modules of ours that the file imports, and whether one is imported inside a function."""
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    hidden = any(
        isinstance(inner, (ast.Import, ast.ImportFrom))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
    )
    return {name for name in names if name.split(".")[0] in ("flasky", "accounts")}, hidden


@pytest.mark.parametrize(("name", "path"), list(modules()))
def test_each_module_imports_only_what_its_room_allows(name, path):
    ours, hidden = imported(path)
    allowed = COMMANDS if ".management.commands." in name else ALLOWED[name]
    assert ours <= allowed
    assert not hidden, "an import inside a function hides a cycle"


def test_the_table_names_no_module_that_is_gone():
    assert set(ALLOWED) <= {parameters.values[0] for parameters in modules()}


def test_the_environment_is_read_in_the_settings_only():
    """The others named here only pass it on."""
    may = {"settings.py", "wsgi.py", "asgi.py", "celery.py", "runserver.py"}
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
from flasky.mail import backend, transports, wire, worker
wire.compose(EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"]))
transports.new_transport()
raise SystemExit(", ".join({"requests", "urllib3", "boto3", "botocore"} & set(sys.modules)) or 0)
"""
    finished = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True)
    assert finished.returncode == 0, finished.stderr.decode()
