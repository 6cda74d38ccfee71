"""What we use of others that is private, or not documented: it may be gone one day."""

import ast
import smtplib
import threading
from email import _header_value_parser
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.contrib.admin import ModelAdmin
from django.core.mail.backends.smtp import EmailBackend
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template import Engine
from django.test import utils as utilities
from requests import Response

from flasky.mail.transports.backends import new_backend

ROOT = Path(__file__).parent.parent
DOORS = [
    (
        threading,
        "_register_atexit",
        "delivery/worker.py ends its threads there: the interpreter waits for them",
    ),
    (_header_value_parser, "get_mailbox", "wire/headers.py takes one address from a list with it"),
    (ModelAdmin, "_get_obj_does_not_exist_redirect", "web/admin.py answers with it for a message that is gone"),
    (smtplib.SMTP, "sock", "transports/smtp.py and own_smtp.py cut the connection and set its timeouts by it"),
    (EmailBackend, "connection_class", "transports/own_smtp.py asks it whether somebody sends in a way of their own"),
    (connection, "run_on_commit", "backend.py looks there whether this transaction wakes already"),
    (QuerySet(), "_db", "models/one_database.py asks it whether a caller has named a database"),
    (utilities, "_TestState", "runtime/test_run.py knows by it that a project's tests run"),
    (HttpRequest, "_set_content_type_params", "site/requests.py lets a request be none of a known type there"),
    (Engine(), "template_builtins", "previews/lint.py adds its strict tags to it"),
    (MigrationExecutor, "_create_project_state", "migrating/announcing.py learns from it which tables there are"),
    (Response(), "_content", "transports/in_time.py keeps there what it has read of an answer"),
    (Response(), "_content_consumed", "transports/in_time.py says there that it has read the answer"),
]
if find_spec("psycopg_pool"):
    from psycopg_pool import ConnectionPool

    DOORS.append((ConnectionPool(open=False), "_check", "databases/postgresql/base.py puts a check that ends there"))

if find_spec("celery"):
    from celery.app import default_app

    DOORS.append((default_app, "_get_current_object", "dispatchers/celery.py asks by it whose app there is"))

if find_spec("botocore"):
    from botocore.httpsession import URLLib3Session

    use = "transports/providers.py bounds by it how long a request to Amazon takes"
    DOORS.extend((URLLib3Session(), name, use) for name in ("_manager", "_pool_classes_by_scheme"))

if find_spec("gunicorn"):
    from gunicorn.workers.gthread import ThreadWorker

    use = "guard/worker.py reads whole requests there, before a thread gets them"
    names = ("accept", "enqueue_req", "on_pending_socket_readable", "on_client_socket_readable", "murder_pending")
    DOORS.extend((ThreadWorker, name, use) for name in names)

DOCUMENTED = {"_meta", "_state", "_default_manager", "_asdict", "_replace"}  # private in name only


@pytest.mark.parametrize(("owner", "name", "use"), DOORS, ids=[name for _, name, _ in DOORS])
def test_the_private_door_is_still_there(owner, name, use):
    assert hasattr(owner, name), (
        f"This Python, Django, gunicorn, psycopg or botocore has no {name} any more: {use}. Find another way there, "
        "then change this list."
    )


def test_djangos_backend_still_keeps_its_connection_where_we_speak_over_it(settings):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    assert hasattr(new_backend(), "connection"), "transports/smtp.py speaks over what Django has connected."


def test_no_other_private_name_is_used():
    trees = [ast.parse(path.read_text()) for app in ("flasky", "accounts") for path in ROOT.glob(f"{app}/**/*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {part for node in nodes if isinstance(node, ast.ImportFrom) for part in (node.module or "").split(".")}
    private = {name for name in used if name.startswith("_") and not name.startswith("__")}
    listed = {name for _, name, _ in DOORS} | {"_header_value_parser", "_check"}
    assert private - ours(nodes) - DOCUMENTED <= listed
    assert private >= {"_register_atexit", "_get_obj_does_not_exist_redirect", "_header_value_parser", "_check"}


def ours(nodes):
    """Return the names that our own code gives to functions, classes, variables and attributes of its objects."""
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    defined |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return defined | {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }
